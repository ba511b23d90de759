//! A line where there is little room.
use super::{Style, read};
use maud::{Markup, html};

/// Draws the first `chars` characters of a line, of which colours may make `room` bytes
/// more: where that is not enough, what comes first has them.
pub(in crate::web) fn draw_some(line: &str, chars: usize, room: usize) -> Markup {
    let (mut chars, mut room) = (chars, room);
    let mut runs = read(line, &[]);
    runs.retain_mut(|run| {
        if let Some((cut, _)) = run.text.char_indices().nth(chars) {
            run.text.truncate(cut);
        }
        chars -= run.text.chars().count();
        let tags = run.draw().0.len() - html! { (run.text) }.0.len();
        if let Some(left) = room.checked_sub(tags) {
            room = left;
        } else {
            (room, run.style) = (0, Style::default());
        }
        !run.text.is_empty()
    });
    html! { @for run in &runs { (run.draw()) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(line: &str, chars: usize, room: usize) -> String {
        draw_some(line, chars, room).into_string()
    }

    #[test]
    fn text_comes_before_colour() {
        let line = "\x1b[31mred\x1b[0m <b> \x1b[1;32mgreen\x1b[0m";
        let red = r#"<span class="a1">red</span>"#;
        let green = r#"<span class="a2 ao">green</span>"#;
        let all = format!("{red} &lt;b&gt; {green}");
        assert_eq!(some(line, 99, 99), all);
        assert_eq!(some(line, 99, 51), all);
        assert_eq!(some(line, 99, 50), format!("{red} &lt;b&gt; green"));
        assert_eq!(some(line, 99, 0), "red &lt;b&gt; green");
        assert_eq!(some(line, 2, 99), r#"<span class="a1">re</span>"#);
        assert_eq!(some(line, 6, 99), format!("{red} &lt;b"));
        assert_eq!(some(line, 0, 99), "");
    }
}
