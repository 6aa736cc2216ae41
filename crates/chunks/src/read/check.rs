//! What `fsck` asks of this floor: is every byte of every pack, blob and index object what was written, and is all content there.
//! Reads only. `repo` walks the trees and calls these.

use drumlin_model::{File, FileId, Location, PackId};
use futures::TryStreamExt;

use crate::{
    error::{Error, Result},
    format::{outboard::Outboard, pack, table},
    index,
    keys::{BLOBS, INDEX, PACKS, blob_key, outboard_key, pack_key},
    read::{fetch::Content, store::ChunkStore},
    task,
};

/// Something that a check found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key of the object, or what else is wrong.
    pub object: String,
    pub detail: String,
}

impl Problem {
    fn gone(object: String) -> Self {
        let detail = "it is not there".to_string();
        Self { object, detail }
    }
}

impl ChunkStore {
    /// Reads a whole pack and verifies every byte of it.
    pub async fn check_pack(&self, pack: PackId) -> Result<Vec<Problem>> {
        let key = pack_key(&pack);
        let bytes = match self.bucket().get(&key).await {
            Err(Error::NoObject { .. }) => return Ok(vec![Problem::gone(key)]),
            other => other?,
        };
        let details = task::blocking("check a pack", move || Ok(pack::check(pack, &bytes))).await?;
        Ok(details
            .into_iter()
            .map(|detail| Problem {
                object: key.clone(),
                detail,
            })
            .collect())
    }

    /// Reads a whole blob, piece by piece, and verifies its hash; then whether its outboard is what follows from it.
    pub async fn check_blob(&self, id: FileId) -> Result<Vec<Problem>> {
        let key = blob_key(&id);
        let Some(info) = self.bucket().head(&key).await? else {
            return Ok(vec![Problem::gone(key)]);
        };
        let file = File {
            id,
            size: info.size,
            executable: false,
        };
        match self.outboard_of_content(&file).await {
            Ok(outboard) if outboard.is_stored() => self.check_outboard(&id, &outboard).await,
            Ok(_) => Ok(Vec::new()),
            Err(Error::Corrupt { detail, .. }) => Ok(vec![Problem { object: key, detail }]),
            Err(Error::Missing { .. }) => Ok(vec![Problem::gone(key)]),
            Err(error) => Err(error),
        }
    }

    async fn check_outboard(&self, id: &FileId, outboard: &Outboard) -> Result<Vec<Problem>> {
        let key = outboard_key(id);
        let detail = match self.bucket().get(&key).await {
            Ok(stored) if stored == outboard.to_object() => return Ok(Vec::new()),
            Ok(_) => "it is not that of its blob, so each reader of a range reads the whole blob first",
            Err(Error::NoObject { .. }) => "it is not there, so each reader of a range reads the whole blob first",
            Err(error) => return Err(error),
        };
        Ok(vec![Problem {
            object: key,
            detail: detail.to_string(),
        }])
    }

    /// Verifies every index object. A damaged one costs time, not data: it can be deleted.
    pub async fn check_index(&self) -> Result<Vec<Problem>> {
        let mut objects = self.bucket().list(INDEX.trim_end_matches('/'));
        let mut problems = Vec::new();
        while let Some(info) = objects.try_next().await? {
            let bytes = match self.bucket().get(&info.key).await {
                // Merged into another since it was listed.
                Err(Error::NoObject { .. }) => continue,
                other => other?,
            };
            let name = info.key.trim_start_matches(INDEX);
            if let Err(Error::Corrupt { detail, .. }) = table::verify_object(name, &bytes) {
                problems.push(Problem {
                    object: info.key.clone(),
                    detail,
                });
            }
        }
        Ok(problems)
    }

    /// Whether all that the content consists of is in some pack or blob, as far as tables tell. Reads no content:
    /// together with `check_pack` of all packs and `check_blob` of all blobs it shows that the content is whole.
    pub async fn check_content(&self, file: &File, at: &Location) -> Result<Vec<Problem>> {
        let problem = |detail: String| {
            vec![Problem {
                object: format!("the content {}", file.id),
                detail,
            }]
        };
        let content = match self.content(file, at).await {
            Ok(content) => content,
            Err(error @ (Error::Corrupt { .. } | Error::Missing { .. })) => return Ok(problem(error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(match content {
            Content::Empty => Vec::new(),
            Content::Blob => match self.bucket().head(&blob_key(&file.id)).await? {
                None => vec![Problem::gone(blob_key(&file.id))],
                Some(info) if info.size != file.size => {
                    problem(format!("its blob has {} bytes instead of {}", info.size, file.size))
                }
                Some(_) => Vec::new(),
            },
            Content::Chunk(_) => match self.count_missing(std::iter::once(file.id.as_bytes())).await? {
                0 => Vec::new(),
                _ => problem("it is in no pack".to_string()),
            },
            Content::Recipe(recipe) => {
                match self
                    .count_missing(recipe.chunks.iter().map(|chunk| chunk.id.as_bytes()))
                    .await?
                {
                    0 => Vec::new(),
                    missing => problem(format!("{missing} chunks of it are in no pack")),
                }
            }
        })
    }

    /// How many ids no pack has; asks the bucket once, and only when there are any.
    async fn count_missing<'a>(&self, ids: impl Iterator<Item = &'a [u8; 32]> + Clone) -> Result<usize> {
        let missing = || ids.clone().filter(|id| self.index().find(id).is_none()).count();
        if missing() == 0 {
            return Ok(0);
        }
        self.index().refresh().await?;
        Ok(missing())
    }

    /// Every pack in the bucket.
    pub async fn list_packs(&self) -> Result<Vec<PackId>> {
        let names: Vec<String> = self.names(PACKS).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Every blob in the bucket.
    pub async fn list_blobs(&self) -> Result<Vec<FileId>> {
        let names: Vec<String> = self.names(BLOBS).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn names(&self, folder: &str) -> Result<Vec<String>> {
        index::names(self.bucket(), folder).await
    }
}
