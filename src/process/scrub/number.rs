//! Numbers of payment cards, bank accounts and social security, told from other digits by their check sums and places.

use super::text::{Finding, Kind};

/// Digits of a social security number, the shortest number that is looked for.
const MIN_DIGITS: usize = 9;
/// Fewer digits than any account number has.
const MIN_IBAN: usize = 11;

/// False if the text holds no such number. Dates, times and ids in lower case have not enough digits in a row.
pub(super) fn may_find(bytes: &[u8]) -> bool {
    // Compilers make this count of many bytes at a time.
    if bytes.iter().filter(|byte| byte.is_ascii_digit()).count() < MIN_DIGITS {
        return false;
    }
    // Digits since something that a social security number, or one of the others, does not have inside.
    let (mut dashed, mut chained) = (0, 0);
    for byte in bytes {
        match byte {
            b'0'..=b'9' => (dashed, chained) = (dashed + 1, chained + 1),
            b'-' => {}
            b' ' | b'A'..=b'Z' => dashed = 0,
            _ => (dashed, chained) = (0, 0),
        }
        if dashed >= MIN_DIGITS || chained >= MIN_IBAN {
            return true;
        }
    }
    false
}

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    find_cards(bytes, found);
    find_ibans(bytes, found);
    find_social_security(bytes, found);
}

/// Digits of the longest card number.
const MAX_CARD: usize = 19;
/// Digits of the shortest.
const MIN_CARD: usize = 13;

/// Digits that stand together.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

impl Group {
    fn len(self) -> usize {
        self.end - self.start
    }
}

fn find_cards(bytes: &[u8], found: &mut Vec<Finding>) {
    let mut at = 0;
    while let Some(start) = next_digit(bytes, at) {
        let (groups, separator) = chain(bytes, start);
        let end = groups.last().map_or(start + 1, |group| group.end);
        at = end;
        let is_free =
            !is_letter(bytes, start.checked_sub(1)) && !is_letter(bytes, Some(end)) && !is_decimal(bytes, start, end);
        if !is_free || groups.iter().map(|group| group.len()).sum::<usize>() < MIN_CARD {
            continue;
        }
        let mut rest = groups.as_slice();
        while let Some(first) = rest.first() {
            let count = card_groups(bytes, rest);
            // Between dashes, only all of them together are a number: an id has dashes, too.
            let is_whole = count == groups.len();
            match rest.get(count.max(1) - 1) {
                Some(last) if count > 0 && (separator != Some(b'-') || is_whole) => {
                    found.push(Finding { range: first.start..last.end, kind: Kind::Card });
                    rest = rest.get(count..).unwrap_or_default();
                }
                _ => rest = rest.get(1..).unwrap_or_default(),
            }
        }
    }
}

fn next_digit(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.iter().position(u8::is_ascii_digit).map(|at| from + at)
}

fn is_letter(bytes: &[u8], at: Option<usize>) -> bool {
    at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphabetic)
}

/// Part of a number with a point.
fn is_decimal(bytes: &[u8], start: usize, end: usize) -> bool {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_point = |at: usize| bytes.get(at) == Some(&b'.');
    (start >= 2 && is_point(start - 1) && is_digit(start - 2)) || (is_point(end) && is_digit(end + 1))
}

/// Groups of digits from `start` on with one space, or one dash, between them.
fn chain(bytes: &[u8], start: usize) -> (Vec<Group>, Option<u8>) {
    let mut groups = Vec::new();
    let mut separator = None;
    let mut at = start;
    loop {
        let length = bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
        groups.push(Group { start: at, end: at + length });
        let next = bytes.get(at + length).copied().filter(|byte| matches!(byte, b' ' | b'-'));
        let goes_on = next.is_some()
            && separator.is_none_or(|separator| Some(separator) == next)
            && bytes.get(at + length + 1).is_some_and(u8::is_ascii_digit);
        if !goes_on {
            return (groups, separator);
        }
        separator = next;
        at += length + 1;
    }
}

/// How many of the first groups are the number of a card: one, or grouped as cards are printed; else 0.
fn card_groups(bytes: &[u8], groups: &[Group]) -> usize {
    let lengths: Vec<usize> = groups.iter().take(5).map(|group| group.len()).collect();
    let is_printed = |lengths: &[usize]| match lengths {
        [one] => (MIN_CARD..=MAX_CARD).contains(one),
        [4, 6, 4 | 5] | [4, 4, 4, 1..=4] | [4, 4, 4, 4, 1..=3] => true,
        _ => false,
    };
    (1..=lengths.len())
        .rev()
        .find(|&count| {
            lengths.get(..count).is_some_and(is_printed)
                && groups.get(..count).is_some_and(|groups| is_card(&digits(bytes, groups)))
        })
        .unwrap_or(0)
}

fn digits(bytes: &[u8], groups: &[Group]) -> Vec<u8> {
    groups.iter().flat_map(|group| bytes.get(group.start..group.end).unwrap_or_default()).copied().collect()
}

/// A number that an issuer of cards could have given out.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0_u16, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0')));
    let is_issued = matches!(
        (prefix, digits.len()),
        (4000..=4999, 13 | 16 | 19)
            | (5100..=5599 | 2221..=2720, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (3000..=3059 | 3600..=3699 | 3800..=3999, 14)
            | (5000..=5099 | 5600..=5899 | 6304 | 6759 | 6761..=6763 | 3528..=3589 | 6011 | 6200..=6299 | 6440..=6599, 16..=19)
    );
    is_issued && has_luhn_sum(digits)
}

fn has_luhn_sum(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit.wrapping_sub(b'0'));
            match (place % 2, value * 2) {
                (0, _) => value,
                (_, doubled @ 0..=9) => doubled,
                (_, doubled) => doubled - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Countries and the lengths of their account numbers, as registered.
const IBANS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 \
    FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 \
    LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 \
    SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20";

fn find_ibans(bytes: &[u8], found: &mut Vec<Finding>) {
    let mut end = 0;
    for (at, window) in bytes.windows(4).enumerate() {
        let [first, second, third, fourth] = window else { continue };
        let begins = first.is_ascii_uppercase()
            && second.is_ascii_uppercase()
            && third.is_ascii_digit()
            && fourth.is_ascii_digit()
            && at >= end
            && !at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(u8::is_ascii_alphanumeric);
        if !begins {
            continue;
        }
        let country = IBANS.split(' ').find(|entry| entry.as_bytes().starts_with(&[*first, *second]));
        let Some(length) = country.and_then(|entry| entry.get(2..)?.parse().ok()) else { continue };
        if let Some(length) = iban(bytes.get(at..).unwrap_or_default(), length) {
            end = at + length;
            found.push(Finding { range: at..end, kind: Kind::Iban });
        }
    }
}

/// The bytes that an account number of `length` characters takes here, spaces or dashes between some included.
fn iban(bytes: &[u8], length: usize) -> Option<usize> {
    let mut characters = Vec::with_capacity(length);
    let mut at = 0;
    while characters.len() < length {
        match bytes.get(at)? {
            byte if byte.is_ascii_uppercase() || byte.is_ascii_digit() => characters.push(*byte),
            b' ' | b'-' if bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => return None,
        }
        at += 1;
    }
    let is_free = !bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    characters.rotate_left(4);
    let rest = characters.iter().fold(0_u32, |rest, byte| {
        if byte.is_ascii_digit() {
            (rest * 10 + u32::from(byte - b'0')) % 97
        } else {
            (rest * 100 + u32::from(byte - b'A') + 10) % 97
        }
    });
    (is_free && rest == 1).then_some(at)
}

/// `AAA-GG-SSSS` in ranges that were given out.
fn find_social_security(bytes: &[u8], found: &mut Vec<Finding>) {
    for (at, window) in bytes.windows(11).enumerate() {
        let [a1, a2, a3, b'-', g1, g2, b'-', serial @ ..] = window else { continue };
        let is_number = [a1, a2, a3, g1, g2].into_iter().chain(serial).all(u8::is_ascii_digit);
        let is_apart = |at: Option<usize>| {
            !at.and_then(|at| bytes.get(at))
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        };
        let ends = bytes.get(at + 11) == Some(&b'.') && !bytes.get(at + 12).is_some_and(u8::is_ascii_digit);
        let is_given_out =
            *a1 != b'9' && ![*b"000", *b"666"].contains(&[*a1, *a2, *a3]) && [*g1, *g2] != *b"00" && serial != b"0000";
        if is_number && is_given_out && is_apart(at.checked_sub(1)) && (is_apart(Some(at + 11)) || ends) {
            found.push(Finding { range: at..at + 11, kind: Kind::Ssn });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text, &mut found);
        found.into_iter().filter_map(|finding| text.get(finding.range)).collect()
    }

    #[test]
    fn numbers_of_cards_are_found_as_they_are_printed() {
        for (text, wanted) in [
            ("card 4111111111111111 declined", "4111111111111111"),
            ("card 4111 1111 1111 1111.", "4111 1111 1111 1111"),
            ("5500-0000-0000-0004", "5500-0000-0000-0004"),
            ("amex 3782 822463 10005", "3782 822463 10005"),
            ("in 2026 4111 1111 1111 1111 12", "4111 1111 1111 1111"),
            ("diners 30569309025904", "30569309025904"),
        ] {
            assert_eq!(found(text), [wanted], "{text}");
        }
        for text in [
            "4111111111111112",
            "1763649094927760",
            "12345678-4111-1111-1111-111111111111",
            "a4111111111111111",
            "0.4111111111111111",
            "4111-1111 1111-1111",
            "41111111111111110000",
            "4111-1111-1111-1111-2222",
            "+49 30 1234567 89",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn account_and_social_security_numbers_are_found() {
        for (text, wanted) in [
            ("to DE89370400440532013000 at once", "DE89370400440532013000"),
            ("GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 32"),
            ("NO93 8601 1117 947", "NO93 8601 1117 947"),
            ("ssn 078-05-1120.", "078-05-1120"),
        ] {
            assert_eq!(found(text), [wanted], "{text}");
        }
        for text in ["DE89370400440532013001", "XX89370400440532013000", "000-05-1120", "1078-05-1120", "078-05-1120-7"]
        {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
