//! How large a picture becomes when a browser unpacks it, told by what it begins with.
//! A small file may say that it is enormous, and browsers believe it.
use super::sniff::Content;

/// Width and height in pixels; `None` if that cannot be told from `head`.
#[must_use]
pub fn measures(content: Content, head: &[u8]) -> Option<(u32, u32)> {
    let (width, height) = match content {
        Content::Png => png(head)?,
        Content::Gif => (little(head, 6, 2)?, little(head, 8, 2)?),
        Content::Webp => webp(head)?,
        Content::Jpeg => jpeg(head)?,
        _ => return None,
    };
    (width > 0 && height > 0).then_some((width, height))
}

fn png(head: &[u8]) -> Option<(u32, u32)> {
    (head.get(12..16)? == b"IHDR").then_some(())?;
    Some((big(head, 16, 4)?, big(head, 20, 4)?))
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    const FOURTEEN_BITS: u32 = 0x3fff;
    match head.get(12..16)? {
        b"VP8X" => Some((little(head, 24, 3)? + 1, little(head, 27, 3)? + 1)),
        b"VP8L" if head.get(20) == Some(&0x2f) => {
            let bits = little(head, 21, 4)?;
            let height = bits >> 14 & FOURTEEN_BITS;
            Some(((bits & FOURTEEN_BITS) + 1, height + 1))
        }
        b"VP8 " if head.get(23..26)? == b"\x9d\x01\x2a" => {
            let measure = |at| Some(little(head, at, 2)? & FOURTEEN_BITS);
            Some((measure(26)?, measure(28)?))
        }
        _ => None,
    }
}

/// Goes from segment to segment until one says it.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        (*head.get(at)? == 0xff).then_some(())?;
        match *head.get(at + 1)? {
            // Padding, and what stands alone.
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((big(head, at + 7, 2)?, big(head, at + 5, 2)?));
            }
            // Nothing was said before the picture itself.
            0xd9 | 0xda => return None,
            _ => {
                let length = usize::try_from(big(head, at + 2, 2)?).ok()?;
                at += 2 + length.max(2);
            }
        }
    }
}

fn big(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + count)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
    )
}

fn little(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + count)?.iter().rev();
    Some(bytes.fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_says_how_large_it_is() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06";
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08\x01\xe0\x02\x80\x03";
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x42\xe0\x01";
        // 640 - 1 = 0x27f, 480 - 1 = 0x1df.
        let bits = (0x27f_u32 | 0x1df << 14).to_le_bytes();
        let mut lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".to_vec();
        lossless.extend(bits);
        let extended = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0";
        for (content, head) in [
            (Content::Png, &png[..]),
            (Content::Gif, b"GIF89a\x80\x02\xe0\x01"),
            (Content::Jpeg, jpeg),
            (Content::Webp, lossy),
            (Content::Webp, &lossless),
            (Content::Webp, extended),
        ] {
            assert_eq!(measures(content, head), Some((640, 480)), "{content:?}");
            assert_eq!(Content::of(head, false), content);
            for cut in 0..head.len() - 4 {
                // Nothing else comes of less.
                let told = measures(content, &head[..cut]);
                assert!(
                    told.is_none_or(|told| told == (640, 480)),
                    "{content:?} {cut}"
                );
            }
        }
        assert_eq!(measures(Content::Gif, b"GIF89a\0\0\x01\0"), None);
        assert_eq!(measures(Content::Jpeg, b"\xff\xd8\xff\xda\0\x04ab"), None);
        assert_eq!(measures(Content::Text, b"640x480"), None);
    }

    proptest! {
        #[test]
        fn no_picture_upsets_it(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..4_usize) {
            let heads: [(Content, &[u8]); 4] = [
                (Content::Png, b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"),
                (Content::Gif, b"GIF89a"),
                (Content::Jpeg, b"\xff\xd8\xff"),
                (Content::Webp, b"RIFF\0\0\0\0WEBPVP8"),
            ];
            let (content, head) = heads[kind];
            let bytes = [head, &bytes].concat();
            if let Some((width, height)) = measures(content, &bytes) {
                prop_assert!(width > 0 && height > 0);
            }
        }
    }
}
