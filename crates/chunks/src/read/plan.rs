//! Which reads of packs serve many records at the least cost: neighbors are read together, up to a size, over small gaps.
//! Pure; `records` carries plans out.

use std::ops::Range;

use drumlin_model::{ChunkId, PackId};

use crate::format::record::RecordAt;

/// The most that one read fetches, and the most content that it may hold decoded, in bytes.
pub(crate) const RUN_LEN_MAX: u64 = 8 << 20;
/// A gap up to this is read over: at 100 MB/s it takes 10 ms, less than a request to a bucket.
const GAP_MAX: u64 = 1 << 20;

/// A chunk that somebody wants, and the number it is wanted under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub number: usize,
    pub id: ChunkId,
    pub at: RecordAt,
}

/// One read of one pack, and what it serves.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub pack: PackId,
    pub range: Range<u64>,
    pub wanted: Vec<Wanted>,
}

pub(crate) fn runs(mut wanted: Vec<Wanted>) -> Vec<Run> {
    wanted.sort_unstable_by_key(|want| (want.at.pack, want.at.offset, want.number));
    let mut runs: Vec<Run> = Vec::new();
    let mut content = 0;
    for want in wanted {
        let (start, end) = (u64::from(want.at.offset), want.at.end());
        let len = u64::from(want.at.len);
        if let Some(run) = runs.last_mut()
            && run.pack == want.at.pack
            && start <= run.range.end + GAP_MAX
            && end - run.range.start <= RUN_LEN_MAX
            && content + len <= RUN_LEN_MAX
        {
            run.range.end = run.range.end.max(end);
            run.wanted.push(want);
            content += len;
        } else {
            runs.push(Run {
                pack: want.at.pack,
                range: start..end,
                wanted: vec![want],
            });
            content = len;
        }
    }
    runs
}
