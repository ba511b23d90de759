//! Text that one person writes and others read.

/// Whether `c` does something to the text around it instead of showing: control
/// characters, line and paragraph separators, and marks that turn the direction
/// of what follows, with which a name can look like another.
#[must_use]
pub fn is_invisible_order(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_script_are_left_alone() {
        for name in ["Zoë", "משה", "محمد", "山田 太郎", "👩‍🔬", "O’Neil"] {
            assert!(!name.chars().any(is_invisible_order), "{name}");
        }
        for name in [
            "a\0b",
            "a\u{202e}b",
            "a\u{2067}b",
            "a\u{2028}b",
            "a\u{85}b",
            "a\tb",
        ] {
            assert!(name.chars().any(is_invisible_order), "{name:?}");
        }
    }
}
