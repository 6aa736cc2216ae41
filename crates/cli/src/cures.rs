//! Cures in the words of the command line. A cure names a verb and the arguments of its request; the definition of the
//! words (`args`) says whether an argument is a flag or stands by its place, so one renderer serves every verb.
//! Invariant: what is shown can be typed as it stands, but for the names in capitals.

use clap::{Arg, Command};
use drumlin_model::{Argument, Cure, Verb};

/// The text of a cure. `program` is built, so that each verb holds the global flags too; `at_hand` is the verb that failed.
pub fn text(cure: &Cure, program: &Command, at_hand: Option<&Command>) -> String {
    match cure {
        Cure::Run { verb, arguments, why } => {
            let command = run(*verb, arguments, program);
            match why {
                Some(why) => format!("{command}    ({why})"),
                None => command,
            }
        }
        Cure::Give { argument, value } => match at_hand.and_then(|verb| argument_of(verb, argument)) {
            Some(known) if known.is_positional() => format!("write {} as {}", quoted(value), placeholder(known)),
            Some(known) => format!("add {}", flag(known, Some(value))),
            None => format!("give {} as {argument}", quoted(value)),
        },
        Cure::Leave { argument } => match at_hand.and_then(|verb| argument_of(verb, argument)) {
            Some(known) if !known.is_positional() => format!("leave out {}", flag(known, None)),
            _ => format!("leave out {argument}"),
        },
        Cure::Choose { what, one_of } => format!("{what}: one of {}", one_of.join(", ")),
        Cure::DidYouMean { name } => format!("did you mean {name:?}?"),
        Cure::Edit { file } => format!("edit {}, then run the command again", quoted(file)),
        Cure::MakeRoom { folder } => format!("df -h {}    (is there room?)", quoted(folder)),
        Cure::Permit { path } => format!("ls -ld {}    (may you read and write it?)", quoted(path)),
        Cure::Say { text } => text.clone(),
    }
}

/// The words of `verb` below `program`; none when the program does not have it.
pub fn command_of<'a>(program: &'a Command, verb: &str) -> Option<&'a Command> {
    verb.split(' ')
        .try_fold(program, |command, word| command.find_subcommand(word))
}

/// The argument of `verb` that its request calls `name`: one of the verb's own, or a global one.
pub fn argument_of<'a>(verb: &'a Command, name: &str) -> Option<&'a Arg> {
    verb.get_arguments().find(|known| known.get_id() == name)
}

/// The command to type. Arguments that the verb needs and the cure does not give stand there by their names.
fn run(verb: Verb, arguments: &[Argument], program: &Command) -> String {
    let mut words = vec![program.get_name().to_owned(), verb.as_str().to_owned()];
    let command = command_of(program, verb.as_str());
    let known: Vec<&Arg> = command.into_iter().flat_map(Command::get_arguments).collect();
    let (positional, flags): (Vec<&Arg>, Vec<&Arg>) = known.iter().partition(|known| known.is_positional());
    for known in positional {
        if given(arguments, known).next().is_none() && known.is_required_set() {
            words.push(placeholder(known));
        }
        words.extend(
            given(arguments, known)
                .filter_map(|given| given.value.as_deref())
                .map(quoted),
        );
    }
    for known in flags {
        if given(arguments, known).next().is_none() && known.is_required_set() {
            words.push(format!("{} {}", flag(known, None), placeholder(known)));
        }
        words.extend(given(arguments, known).map(|given| flag(known, given.value.as_deref())));
    }
    let unknown = |given: &&Argument| !known.iter().any(|known| known.get_id() == given.name);
    for given in arguments.iter().filter(unknown) {
        words.push(format!("--{}", given.name.replace('_', "-")));
        words.extend(given.value.as_deref().map(quoted));
    }
    words.join(" ")
}

/// What was given for an argument; several times where it takes several.
fn given<'a>(arguments: &'a [Argument], known: &'a Arg) -> impl Iterator<Item = &'a Argument> {
    arguments.iter().filter(move |given| known.get_id() == given.name)
}

/// `--limit 5`, or `-m 'text'` for a flag that has no long name.
fn flag(known: &Arg, value: Option<&str>) -> String {
    let name = match (known.get_long(), known.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => known.get_id().to_string(),
    };
    match value.filter(|_| known.get_action().takes_values()) {
        Some(value) => format!("{name} {}", quoted(value)),
        None => name,
    }
}

/// What stands for a value in help: `FILE`.
fn placeholder(known: &Arg) -> String {
    let named = known.get_value_names().and_then(|names| names.first());
    let named = named.map_or_else(|| known.get_id().as_str().to_uppercase(), ToString::to_string);
    named.split(" | ").next().unwrap_or_default().to_owned()
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
