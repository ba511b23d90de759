//! Which lines of output a caller wants, read from a query.
use crate::api::logs::Item;
use crate::domain::logs::{Level, Needle};
use crate::orchestrator::Error;
use crate::store::jobs::logs::Filter;

/// Characters that can be searched for.
const LONGEST: usize = 200;

/// The filter, and the name of its stream.
pub(super) fn filter(
    stream: Option<&str>,
    level: Option<&str>,
    text: Option<&str>,
) -> Result<(Filter, &'static str), Error> {
    let stream = match stream.unwrap_or_default() {
        "" | "all" => "",
        "stdout" => "stdout",
        "stderr" => "stderr",
        "system" => "system",
        _ => return Err(Error::field("stream", "Use stdout, stderr, system or all.")),
    };
    let level = match level.unwrap_or_default() {
        "" | "all" => None,
        name => Some(Level::named(name).ok_or_else(|| {
            Error::field(
                "level",
                "Use debug, info, warning or error; each includes graver ones.",
            )
        })?),
    };
    let text = text.unwrap_or_default();
    if text.chars().any(char::is_control) {
        return Err(Error::field(
            "q",
            "Control characters cannot be searched for.",
        ));
    }
    if text.chars().count() > LONGEST {
        return Err(Error::field("q", "Search for at most 200 characters."));
    }
    let filter = Filter {
        stream,
        level,
        text: Needle::new(text),
    };
    Ok((filter, if stream.is_empty() { "all" } else { stream }))
}

/// Says where in each line the text is that was searched for.
pub(super) fn mark(items: &mut [Item], filter: &Filter) {
    let Some(needle) = &filter.text else { return };
    for item in items {
        let mut characters = 0;
        let mut bytes = 0;
        let mut at = |byte: usize| {
            characters += item.message[bytes..byte].chars().count();
            bytes = byte;
            characters
        };
        item.matches = needle
            .all(&item.message)
            .into_iter()
            .map(|(begin, end)| (at(begin), at(end)))
            .collect();
    }
}
