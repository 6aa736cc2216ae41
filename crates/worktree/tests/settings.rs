//! Settings: which layer goes first, what a file may hold, and that a change keeps the rest of it.

use std::{collections::BTreeMap, fs, path::Path};

use drumlin_model::ErrorKind;
use drumlin_worktree::{
    Color, Configuration, Error, FileLayer, Key, Layers, Origin, Settings, SettingsFile, SettingsScope, Value,
    parse_size,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::kit::Kit;

fn layers() -> Layers {
    Layers {
        actor: "ada".into(),
        processors: 4,
        user: None,
        repository: None,
        environment: BTreeMap::new(),
        flags: BTreeMap::new(),
    }
}

fn file(name: &str, memory: &str) -> FileLayer {
    FileLayer {
        file: name.into(),
        values: [(Key::Memory, Key::Memory.value(memory).unwrap())].into(),
        unknown: Vec::new(),
    }
}

#[test]
fn built_in_values_hold_where_nothing_else_is_said() {
    let settings = Settings::resolve(layers()).unwrap();
    assert_eq!(
        (
            settings.actor(),
            settings.threads(),
            settings.memory_bytes(),
            settings.color()
        ),
        ("ada", 4, 2_000_000_000, Color::Auto)
    );
    assert!(settings.all().all(|setting| setting.origin == Origin::BuiltIn));
    let keys: Vec<_> = settings.all().map(|setting| setting.key.as_str()).collect();
    assert_eq!(keys, ["actor", "color", "memory", "threads"]);
}

#[test]
fn later_layers_go_before_earlier_ones() {
    let mut layers = layers();
    let origin = |layers: &Layers| {
        let settings = Settings::resolve(layers.clone()).unwrap();
        (settings.memory_bytes(), settings.get(Key::Memory).origin.clone())
    };
    layers.user = Some(file("user.toml", "1MB"));
    let of_user = Origin::User {
        file: "user.toml".into(),
    };
    assert_eq!(origin(&layers), (1_000_000, of_user));
    layers.repository = Some(file("config.toml", "2MB"));
    let of_repository = Origin::Repository {
        file: "config.toml".into(),
    };
    assert_eq!(origin(&layers), (2_000_000, of_repository));
    layers.environment.insert(Key::Memory, "3MB".into());
    let of_environment = Origin::Environment {
        variable: "DRUMLIN_MEMORY",
    };
    assert_eq!(origin(&layers), (3_000_000, of_environment));
    layers.flags.insert(Key::Memory, Value::Bytes(4_000_000));
    assert_eq!(origin(&layers), (4_000_000, Origin::Flag));
    // The others are as they were.
    assert_eq!(Settings::resolve(layers).unwrap().actor(), "ada");
}

#[test]
fn a_variable_without_a_value_of_its_setting_is_named() {
    let mut layers = layers();
    layers.environment.insert(Key::Threads, "many".into());
    let error = Settings::resolve(layers.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("DRUMLIN_THREADS"), "{error}");
    assert!(error.to_string().contains("many"), "{error}");
    // Not asked, where a flag says it.
    layers.flags.insert(Key::Threads, Value::Count(2));
    assert_eq!(Settings::resolve(layers).unwrap().threads(), 2);
}

#[test]
fn values_are_checked() {
    for (key, wrong) in [
        (Key::Actor, ""),
        (Key::Actor, "a\nb"),
        (Key::Color, "blue"),
        (Key::Memory, "lots"),
        (Key::Memory, "1XB"),
        (Key::Memory, "99999999999TB"),
        (Key::Threads, "0"),
        (Key::Threads, "1000000"),
        (Key::Threads, "-1"),
    ] {
        assert!(key.value(wrong).is_err(), "{key} takes {wrong:?}");
    }
    assert_eq!(parse_size("1.5 GiB"), Ok(3 << 29));
    assert_eq!(parse_size("2g"), Ok(2_000_000_000));
}

#[test]
fn a_name_that_is_not_known_brings_one_that_is() {
    assert_eq!(Key::named("memory").unwrap(), Key::Memory);
    let error = Key::named("Memroy").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(matches!(
        error,
        Error::NoSuchSetting {
            close: Some("memory"),
            ..
        }
    ));
    assert!(matches!(
        Key::named("editor"),
        Err(Error::NoSuchSetting { close: None, .. })
    ));
}

fn user_file(folder: &Path, text: &str) -> SettingsFile {
    let path = folder.join("config.toml");
    fs::write(&path, text).unwrap();
    SettingsFile::of_user(path)
}

#[test]
fn a_file_is_read_with_what_it_does_not_know() {
    let folder = TempDir::new().unwrap();
    let text = "[settings]\nmemory = 1000\nthreads = \"3\"\nmemroy = \"1MB\"\nlater = { a = 1 }\n\n[remotes]\nx = 1\n";
    let layer = user_file(folder.path(), text).read().unwrap().unwrap();
    let expected = [(Key::Memory, Value::Bytes(1000)), (Key::Threads, Value::Count(3))];
    assert_eq!(layer.values, expected.into());
    let mut unknown: Vec<_> = layer
        .unknown
        .iter()
        .map(|unknown| (unknown.line, unknown.key.as_str(), unknown.close))
        .collect();
    unknown.sort();
    assert_eq!(
        unknown,
        [(4, "memroy", Some("memory")), (5, "later", None), (7, "remotes", None)]
    );
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_line() {
    let folder = TempDir::new().unwrap();
    for (text, line, says) in [
        ("[settings]\nmemory = \"lots\"\n", 2, "lots"),
        ("[settings]\n\nthreads = 1.5\n", 3, "threads"),
        ("[settings]\nactor = 7\n", 2, "actor"),
        ("settings = 3\n", 1, "settings"),
        ("\n[settings\n", 2, ""),
    ] {
        let error = user_file(folder.path(), text).read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let message = error.to_string();
        assert!(message.contains(&format!("line {line} of")), "{text:?}: {message}");
        assert!(message.contains(says), "{text:?}: {message}");
    }
    let absent = SettingsFile::of_user(folder.path().join("absent.toml"));
    assert_eq!(absent.read().unwrap(), None);
}

#[test]
fn a_change_keeps_the_rest_of_the_file() {
    let folder = TempDir::new().unwrap();
    let text = "# mine\n[remotes]  # of a newer program\nx = 1\n\n[settings]\n# not too much\nmemory = \"1MB\"   # see above\nlater = true\n";
    let file = user_file(folder.path(), text);
    let before = file.set(Key::Memory, Some(&Value::Bytes(512_000_000))).unwrap();
    assert_eq!(before, Some(Value::Bytes(1_000_000)));
    let changed = fs::read_to_string(file.path()).unwrap();
    assert_eq!(changed, text.replace("\"1MB\"", "\"512MB\""));
    assert_eq!(file.set(Key::Threads, Some(&Value::Count(2))).unwrap(), None);
    assert_eq!(
        fs::read_to_string(file.path()).unwrap(),
        format!("{changed}threads = 2\n")
    );
    assert_eq!(file.set(Key::Threads, None).unwrap(), Some(Value::Count(2)));
    assert_eq!(fs::read_to_string(file.path()).unwrap(), changed);
    // Taking back what is not set changes nothing.
    assert_eq!(file.set(Key::Actor, None).unwrap(), None);
    assert_eq!(fs::read_to_string(file.path()).unwrap(), changed);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_file_that_is_not_there_is_made_and_a_link_stays_one() {
    let folder = TempDir::new().unwrap();
    let file = SettingsFile::of_user(folder.path().join("a/b/config.toml"));
    file.set(Key::Actor, Some(&Value::Text("ada".into()))).unwrap();
    assert_eq!(
        fs::read_to_string(file.path()).unwrap(),
        "[settings]\nactor = \"ada\"\n"
    );
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink(file.path(), &link).unwrap();
    SettingsFile::of_user(link.clone())
        .set(Key::Actor, Some(&Value::Text("bob".into())))
        .unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(
        fs::read_to_string(file.path()).unwrap(),
        "[settings]\nactor = \"bob\"\n"
    );
}

#[test]
fn a_file_with_a_mistake_is_not_changed() {
    let folder = TempDir::new().unwrap();
    let text = "[settings]\nmemory = \"lots\"\n";
    let file = user_file(folder.path(), text);
    file.set(Key::Threads, Some(&Value::Count(2))).unwrap_err();
    assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_working_copy_keeps_where_its_repository_is() {
    let kit = Kit::with(&[("a", "1")]).await;
    let file = kit.copy.layout().settings();
    file.set(Key::Memory, Some(&Value::Bytes(1 << 30))).unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(
        text.ends_with("format = 1\nrepository = \"repo\"\n\n[settings]\nmemory = \"1GiB\"\n"),
        "{text}"
    );
    assert_eq!(file.read().unwrap().unwrap().unknown, []);
    assert!(kit.is_clean().await);
    let lock = fs::File::open(kit.copy.layout().lock()).unwrap();
    lock.lock().unwrap();
    let error = file.set(Key::Memory, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_shows_what_it_changed() {
    let kit = Kit::with(&[("sub/a", "1")]).await;
    let home = TempDir::new().unwrap();
    let user = home.path().join("drumlin/config.toml");
    let mut here = Configuration::load(&kit.at("sub"), Some(user.clone()), layers()).unwrap();
    assert_eq!(here.settings().threads(), 4);
    let set = |here: &mut Configuration, scope, value: Option<u64>| {
        let value = value.map(Value::Count);
        here.set(scope, Key::Threads, value.as_ref()).unwrap()
    };
    let changed = set(&mut here, SettingsScope::User, Some(2));
    assert_eq!((changed.file.as_path(), changed.before), (user.as_path(), None));
    assert_eq!(here.settings().threads(), 2);
    set(&mut here, SettingsScope::Repository, Some(3));
    assert_eq!(here.settings().threads(), 3);
    // Another run sees the same; one elsewhere sees the user's file alone.
    let again = Configuration::load(kit.folder.path(), Some(user.clone()), layers()).unwrap();
    assert_eq!(again.settings().threads(), 3);
    let mut elsewhere = Configuration::load(home.path(), Some(user), layers()).unwrap();
    assert_eq!(elsewhere.settings().threads(), 2);
    let error = elsewhere
        .set(SettingsScope::Repository, Key::Threads, None)
        .unwrap_err();
    assert!(matches!(error, Error::NotARepository { .. }), "{error}");
    let changed = set(&mut here, SettingsScope::Repository, None);
    assert_eq!(changed.before, Some(Value::Count(3)));
    assert_eq!(here.settings().threads(), 2);
    let mut homeless = Configuration::load(home.path(), None, layers()).unwrap();
    let error = homeless.set(SettingsScope::User, Key::Threads, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
}

proptest! {
    #[test]
    fn what_a_value_prints_it_is(bytes in any::<u64>(), shift in 0u32..64, threads in 1u64..=1024, actor in "[^\\p{C}]{1,40}") {
        for bytes in [bytes, bytes >> shift, 1 << shift, (bytes >> shift).saturating_mul(1_000_000)] {
            let value = Value::Bytes(bytes);
            prop_assert_eq!(Key::Memory.value(&value.to_string()), Ok(value));
        }
        let value = Value::Count(threads);
        prop_assert_eq!(Key::Threads.value(&value.to_string()), Ok(value));
        let value = Value::Text(actor);
        prop_assert_eq!(Key::Actor.value(&value.to_string()), Ok(value));
    }
}
