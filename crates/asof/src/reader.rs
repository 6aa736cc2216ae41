//! A Parquet file in an object store, as the Parquet reader wants it; `files` makes one for each read.
//! Ranges go to the store together, so that it can join the near ones into one request.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use parquet::{
    arrow::{arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader},
    errors::{ParquetError, Result},
    file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
};

/// The footer's length is not known beforehand; most fit in this, and then one request reads them.
const FOOTER_BYTES_GUESSED: usize = 64 << 10;

pub(crate) struct StoreReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
}

impl StoreReader {
    pub(crate) fn new(store: &Arc<dyn ObjectStore>, path: &Path, size_bytes: u64) -> Self {
        StoreReader {
            store: store.clone(),
            path: path.clone(),
            size_bytes,
        }
    }
}

fn failed(source: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(source))
}

impl AsyncFileReader for StoreReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { self.store.get_range(&self.path, range).await.map_err(failed) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(failed) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size_bytes;
            let reader = ParquetMetaDataReader::new()
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .with_prefetch_hint(Some(FOOTER_BYTES_GUESSED));
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        }
        .boxed()
    }
}
