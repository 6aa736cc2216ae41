//! How much memory a commit takes: a few pages of what is staged, however much that is.

use std::{fs, process::Stdio, time::Duration};

use crate::support::Place;

const MB: u64 = 1_000_000;

/// A repository in which so many small files are staged.
fn staged(files: u32) -> Place {
    let place = Place::repository();
    for file in 0..files {
        let folder = place.file(&format!("data/{:03}", file / 1000));
        if file % 1000 == 0 {
            fs::create_dir_all(&folder).expect("folders can be made");
        }
        fs::write(folder.join(format!("{file:06}.txt")), file.to_string()).expect("a file can be written");
    }
    place.ok(&["add", "data", "--quiet"]);
    place
}

/// The greatest resident memory of a command that succeeds, in bytes. The last look at it is a moment before its end.
fn peak(place: &Place, words: &[&str]) -> u64 {
    let mut command = place.command(words);
    let mut child = command.stdout(Stdio::null()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        if let Some(ended) = child.try_wait().expect("a child can be waited for") {
            assert!(ended.success(), "drumlin {words:?} failed");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_commit_of_more_files_takes_little_more_memory() {
    let (few, many) = (5_000, 30_000);
    let small = peak(&staged(few), &["commit", "-m", "few"]);
    let large = peak(&staged(many), &["commit", "-m", "many"]);
    assert!(small > MB, "the memory of a process was not seen");
    // What is read and written of the index and the tree stays in caches; a copy of it would be as much again.
    let each = large.saturating_sub(small) / u64::from(many - few);
    assert!(
        each < 1_000,
        "{each} bytes more for each file: {small} bytes, then {large}"
    );
}

/// The figure that is promised.
#[test]
#[ignore = "stages 200,000 files, which takes minutes"]
fn a_commit_of_200_000_files_takes_less_than_150_mb() {
    let taken = peak(&staged(200_000), &["commit", "-m", "many"]);
    println!("a commit of 200,000 files took {} MB", taken / MB);
    assert!(taken < 150 * MB, "it took {taken} bytes");
}
