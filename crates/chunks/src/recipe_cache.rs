//! The recipes that were read last, so that reading a long file piece by piece fetches its chunk list once.
//! `store` owns one; bounded by what the recipes take in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use drumlin_model::FileId;

use crate::recipe::{Recipe, RecipeChunk};

/// Enough for the chunk lists of 20 GB of files.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
pub(crate) struct RecipeCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    recipes: HashMap<FileId, (u64, Arc<Recipe>)>,
    bytes: usize,
    /// Counts uses; the recipe of the lowest count is the one to drop.
    clock: u64,
}

impl RecipeCache {
    pub(crate) fn get(&self, file: &FileId) -> Option<Arc<Recipe>> {
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        let (used, recipe) = kept.recipes.get_mut(file)?;
        *used = now;
        Some(recipe.clone())
    }

    /// A recipe that would take the whole cache is not kept.
    pub(crate) fn put(&self, recipe: Arc<Recipe>) {
        let bytes = size_of(&recipe);
        if bytes > BYTES_MAX {
            return;
        }
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        kept.bytes += bytes;
        if let Some((_, old)) = kept.recipes.insert(recipe.file, (now, recipe)) {
            kept.bytes -= size_of(&old);
        }
        while kept.bytes > BYTES_MAX {
            let oldest = kept
                .recipes
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(id, _)| *id);
            let oldest = oldest.expect("bytes are only counted for kept recipes");
            let dropped = kept.recipes.remove(&oldest).map_or(0, |(_, recipe)| size_of(&recipe));
            kept.bytes -= dropped;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size_of(recipe: &Recipe) -> usize {
    std::mem::size_of::<Recipe>() + recipe.chunks.len() * std::mem::size_of::<RecipeChunk>()
}
