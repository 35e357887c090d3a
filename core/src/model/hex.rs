//! Numbers in hexadecimal digits, for headers of every request: the formatter takes ten times as long.

/// The last `N` digits, in lower case.
pub fn hex<const N: usize>(mut number: u128) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let low = (number & 15) as u8;
        *digit = if low < 10 { b'0' + low } else { b'a' + low - 10 };
        number >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_the_formatter_writes(number in any::<u128>()) {
            let written = format!("{number:032x}");
            prop_assert_eq!(&hex::<32>(number)[..], written.as_bytes());
            prop_assert_eq!(&hex::<2>(number)[..], &written.as_bytes()[30..]);
        }
    }
}
