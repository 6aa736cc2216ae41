//! `config`: what is set, where each value comes from, and changes of it.
//! It needs no repository: a surface reads its settings first, and opens desks with what they say.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use drumlin_worktree::{Configuration, Key, Layers, Origin, Setting, Settings, SettingsScope, Unknown, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Asks for all settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConfigListRequest {}

/// Asks for one setting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigGetRequest {
    pub key: String,
}

/// Sets something in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigSetRequest {
    pub key: String,
    pub value: String,
    /// For all repositories of this user, not for this working copy.
    #[serde(default)]
    pub user: bool,
}

/// Takes back what a file sets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigUnsetRequest {
    pub key: String,
    /// In the user's file, not in that of this working copy.
    #[serde(default)]
    pub user: bool,
}

/// A value of a setting: an amount or a number, or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SettingValue {
    /// Of memory, in bytes.
    Number(u64),
    Text(String),
}

/// Where the value of a setting comes from. Each goes before those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettingFrom {
    /// What the program does by itself.
    BuiltIn,
    /// The file of this user.
    User,
    /// The file of this working copy.
    Repository,
    /// A variable of the environment.
    Environment,
    /// A flag of this one command.
    Flag,
}

/// A setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SettingView {
    pub key: String,
    pub value: SettingValue,
    /// The value as people write it, such as `2GB`.
    pub text: String,
    pub from: SettingFrom,
    /// The file that says so; left out where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The variable that says so; left out where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

/// A change of a file of settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigChangeAnswer {
    /// The file that was changed.
    pub file: PathBuf,
    /// What the file set before; null if nothing.
    pub before: Option<SettingValue>,
    /// The setting as it holds now. Something that goes before the file may say otherwise than the file.
    pub now: SettingView,
}

/// What a surface knows besides the files.
#[derive(Clone, Debug)]
pub struct ConfigOptions {
    /// Where the program runs. The file of the working copy there counts.
    pub current: PathBuf,
    /// The file of this user; none where nobody knows it.
    pub user_file: Option<PathBuf>,
    /// Who runs the program, as the machine knows them.
    pub actor: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// The variables of the environment that set something.
    pub environment: BTreeMap<Key, String>,
    /// What was asked for this one time.
    pub flags: BTreeMap<Key, Value>,
}

/// The settings of a run, at which `config` is asked for.
#[derive(Clone, Debug)]
pub struct Config {
    configuration: Configuration,
}

impl Config {
    /// Reads the files.
    pub fn load(options: ConfigOptions) -> Result<Config> {
        let layers = Layers {
            actor: options.actor,
            processors: options.processors as u64,
            user: None,
            repository: None,
            environment: options.environment,
            flags: options.flags,
        };
        let configuration = Configuration::load(&options.current, options.user_file, layers)?;
        Ok(Config { configuration })
    }

    /// What all other verbs are to go by.
    pub fn settings(&self) -> &Settings {
        self.configuration.settings()
    }

    /// What files hold and this program does not know, for warnings.
    pub fn unknown(&self) -> &[Unknown] {
        self.settings().unknown()
    }

    /// All settings, by their names.
    #[tracing::instrument(skip_all, level = "debug")]
    pub fn config_list(&self, _: ConfigListRequest) -> Vec<SettingView> {
        self.settings().all().map(SettingView::of).collect()
    }

    /// One setting.
    #[tracing::instrument(skip_all, level = "debug")]
    pub fn config_get(&self, request: ConfigGetRequest) -> Result<SettingView> {
        let key = Key::named(&request.key)?;
        Ok(SettingView::of(self.settings().get(key)))
    }

    /// Sets something, in the file of this working copy or of this user.
    #[tracing::instrument(skip_all, level = "debug")]
    pub fn config_set(&mut self, request: ConfigSetRequest) -> Result<ConfigChangeAnswer> {
        let key = Key::named(&request.key)?;
        let value = key.value(&request.value).map_err(|what| Error::Invalid {
            what: format!("{key}: {what}"),
            cures: Vec::new(),
        })?;
        self.change(key, Some(&value), request.user)
    }

    /// Takes back what a file sets.
    #[tracing::instrument(skip_all, level = "debug")]
    pub fn config_unset(&mut self, request: ConfigUnsetRequest) -> Result<ConfigChangeAnswer> {
        let key = Key::named(&request.key)?;
        self.change(key, None, request.user)
    }

    fn change(&mut self, key: Key, value: Option<&Value>, user: bool) -> Result<ConfigChangeAnswer> {
        let scope = if user {
            SettingsScope::User
        } else {
            SettingsScope::Repository
        };
        let changed = self.configuration.set(scope, key, value)?;
        Ok(ConfigChangeAnswer {
            file: changed.file,
            before: changed.before.as_ref().map(SettingValue::of),
            now: SettingView::of(self.settings().get(key)),
        })
    }
}

impl SettingValue {
    fn of(value: &Value) -> SettingValue {
        match value {
            Value::Bytes(number) | Value::Count(number) => SettingValue::Number(*number),
            Value::Text(_) | Value::Color(_) => SettingValue::Text(value.to_string()),
        }
    }
}

impl SettingView {
    fn of(setting: &Setting) -> SettingView {
        let (from, file, variable): (_, Option<&Path>, Option<&str>) = match &setting.origin {
            Origin::BuiltIn => (SettingFrom::BuiltIn, None, None),
            Origin::User { file } => (SettingFrom::User, Some(file), None),
            Origin::Repository { file } => (SettingFrom::Repository, Some(file), None),
            Origin::Environment { variable } => (SettingFrom::Environment, None, Some(variable)),
            Origin::Flag => (SettingFrom::Flag, None, None),
        };
        SettingView {
            key: setting.key.to_string(),
            value: SettingValue::of(&setting.value),
            text: setting.value.to_string(),
            from,
            file: file.map(Path::to_owned),
            variable: variable.map(str::to_owned),
        }
    }
}
