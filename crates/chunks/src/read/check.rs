//! What `fsck` asks of this floor: is every byte of every pack, blob and index object what was written, and is all content there.
//! Reads only. `repo` walks the trees and calls these.

use drumlin_model::{ErrorKind, File, FileId, Location, PackId};
use futures::TryStreamExt;

use crate::{
    error::{Error, Result},
    format::{outboard::Outboard, pack, record::RecordAt, table},
    index,
    keys::{BLOBS, INDEX, PACKS, blob_key, outboard_key, pack_key},
    read::{content::Content, plan::RUN_LEN_MAX, store::ChunkStore},
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
    /// Reads a whole pack, piece by piece, and verifies every byte of it.
    pub async fn check_pack(&self, pack: PackId) -> Result<Vec<Problem>> {
        let key = pack_key(&pack);
        let problem = |detail: String| Problem {
            object: key.clone(),
            detail,
        };
        let Some(info) = self.bucket().head(&key).await? else {
            return Ok(vec![Problem::gone(key)]);
        };
        let footer = match index::read_footer(self.bucket(), pack, info.size).await {
            Ok(footer) => footer,
            Err(Error::NoObject { .. }) => return Ok(vec![Problem::gone(key)]),
            Err(Error::Corrupt { detail, .. }) => return Ok(vec![problem(format!("its table is damaged: {detail}"))]),
            Err(error @ Error::Format { .. }) => return Ok(vec![problem(error.to_string())]),
            Err(error) => return Err(error),
        };
        let (records, mut details) = pack::records(&footer, info.size);
        if !self.begins_as_packs_do(&key).await? {
            details.push("it does not begin as packs do".to_string());
        }
        for records in neighbors(&records) {
            details.extend(self.check_records(&key, records.to_vec()).await?);
        }
        Ok(details.into_iter().map(problem).collect())
    }

    async fn begins_as_packs_do(&self, key: &str) -> Result<bool> {
        let head = self.exact_bytes(key, 0..pack::HEAD.len() as u64).await;
        match head {
            Ok(head) => Ok(head == pack::HEAD[..]),
            Err(Error::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads neighboring records of a pack in one piece. What is wrong with them.
    async fn check_records(&self, key: &str, records: Vec<([u8; 32], RecordAt)>) -> Result<Vec<String>> {
        let start = records.first().map_or(0, |(_, at)| u64::from(at.offset));
        let end = records.iter().map(|(_, at)| at.end()).max().unwrap_or(start);
        let bytes = match self.exact_bytes(key, start..end).await {
            Err(Error::Corrupt { detail, .. }) => return Ok(vec![detail]),
            other => other?,
        };
        task::blocking("check a pack", move || {
            let wrong = records.iter().filter_map(|(id, at)| {
                let stored = bytes.slice((u64::from(at.offset) - start) as usize..(at.end() - start) as usize);
                pack::check_record(id, at, &stored).err()
            });
            Ok(wrong.map(|error| error.to_string()).collect())
        })
        .await
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
        let whole = outboard.to_object();
        let detail = match self.bucket().get_at_most(&key, whole.len() as u64).await {
            Ok(stored) if stored == whole => return Ok(Vec::new()),
            Ok(_) | Err(Error::Corrupt { .. }) => {
                "it is not that of its blob, so each reader of a range reads the whole blob first"
            }
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
            let bytes = match self.bucket().get_at_most(&info.key, table::OBJECT_LEN_MAX).await {
                // Merged into another since it was listed.
                Err(Error::NoObject { .. }) => continue,
                Err(Error::Corrupt { object, detail }) => {
                    problems.push(Problem { object, detail });
                    continue;
                }
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
                let mut missing = 0;
                for number in 0..recipe.segment_count() {
                    let segment = match self.segment(&recipe, number).await {
                        Ok(segment) => segment,
                        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(problem(error.to_string())),
                        Err(error) => return Err(error),
                    };
                    let ids = segment.chunks.iter().map(|chunk| chunk.id.as_bytes());
                    missing += self.count_missing(ids).await?;
                }
                match missing {
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
        let packs = index::listing(self.bucket(), PACKS).await?;
        Ok(packs.iter().filter_map(|(name, _)| name.parse().ok()).collect())
    }

    /// Every blob in the bucket.
    pub async fn list_blobs(&self) -> Result<Vec<FileId>> {
        let blobs = index::listing(self.bucket(), BLOBS).await?;
        Ok(blobs.iter().filter_map(|(name, _)| name.parse().ok()).collect())
    }
}

/// Runs of records that are read in one piece each, from records in the order in which they stand.
fn neighbors(records: &[([u8; 32], RecordAt)]) -> Vec<&[([u8; 32], RecordAt)]> {
    let (mut runs, mut start) = (Vec::new(), 0);
    for (number, (_, at)) in records.iter().enumerate() {
        if at.end() - u64::from(records[start].1.offset) > RUN_LEN_MAX && number > start {
            runs.push(&records[start..number]);
            start = number;
        }
    }
    runs.push(&records[start..]);
    runs.retain(|run| !run.is_empty());
    runs
}
