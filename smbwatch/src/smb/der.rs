//! Elements of BER and DER (X.690), also those whose end has not come yet.
//!
//! Libraries want whole messages in strict DER. A token's first bytes say who it is for, and Windows writes
//! lengths that DER forbids.

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The identifier octet: class, whether constructed, and a number below 31.
    pub(super) tag: u8,
    /// As much of the content as there is.
    pub(super) content: &'a [u8],
    /// Whether that is all of it.
    pub(super) whole: bool,
}

/// The elements that stand one after another in some bytes, up to the first that cannot be read: with a tag
/// of several octets, or with an indefinite length or one past four octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (tag, rest) = self.0.split_first()?;
        let (length, rest) = length(rest)?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (content, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.0 = after;
        Some(Element { tag: *tag, content, whole: content.len() == length })
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return Some((usize::from(*first), rest));
    }
    let octets = usize::from(first & 0x7f);
    if !(1..=4).contains(&octets) {
        return None;
    }
    let (octets, rest) = rest.split_at_checked(octets)?;
    let length = octets.iter().fold(0, |length, octet| length << 8 | u64::from(*octet));
    Some((usize::try_from(length).ok()?, rest))
}

/// The content at the end of a path of tags: in each element, the first child with the next tag.
pub(super) fn at<'a>(bytes: &'a [u8], path: &[u8]) -> Option<Element<'a>> {
    let start = Element { tag: 0, content: bytes, whole: true };
    path.iter().try_fold(start, |element, tag| Elements(element.content).find(|child| child.tag == *tag))
}

/// An element made of these parts, with its length in the long form.
#[cfg(test)]
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).expect("a short element");
    [&[tag, 0x81, length], content.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_in_every_form() {
        for (bytes, expected) in [
            (&[0x04, 0x00][..], Some((&[][..], true))),
            (&[0x04, 0x02, 1, 2, 3], Some((&[1, 2], true))),
            (&[0x04, 0x03, 1, 2], Some((&[1, 2], false))),
            (&[0x04, 0x81, 0x02, 1, 2], Some((&[1, 2], true))),
            (&[0x04, 0x84, 0, 0, 0, 1, 1], Some((&[1], true))),
            (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 1], Some((&[1], false))),
            (&[0x04, 0x85, 0, 0, 0, 0, 1, 1], None),
            (&[0x04, 0x80, 1, 0, 0], None),
            (&[0x04, 0x82, 0x01], None),
            (&[0x1f, 0x01, 0x01], None),
            (&[0x04], None),
            (&[], None),
        ] {
            let element = Elements(bytes).next().map(|element| (element.content, element.whole));
            assert_eq!(element, expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn paths_take_the_first_child_of_each_tag() {
        let bytes = [0x30, 0x08, 0x02, 0x01, 9, 0xa1, 0x03, 0x02, 0x01, 7];
        assert_eq!(at(&bytes, &[0x30, 0xa1, 0x02]).map(|found| found.content), Some(&[7][..]));
        assert_eq!(at(&bytes, &[0x30, 0xa2]), None);
    }
}
