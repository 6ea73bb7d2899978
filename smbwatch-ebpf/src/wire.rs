//! Wire types: big-endian numbers at fixed offsets, read byte by byte and never cast.

/// A value with a fixed place in a record.
pub trait Wire: Sized {
    /// Takes the value off the front of `bytes`; none where they are too few.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

impl Wire for u8 {
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(*byte)
    }
}

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut taken = [T::default(); N];
        for value in &mut taken {
            *value = T::take(bytes)?;
        }
        Some(taken)
    }
}

macro_rules! big_endian {
    ($(#[$doc:meta] $name:ident($number:ty);)+) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(transparent)]
        pub struct $name($number);

        impl $name {
            /// Stores `value` in network order.
            #[inline(always)]
            pub const fn new(value: $number) -> Self {
                Self(value.to_be())
            }

            /// The value in the order of this machine.
            #[inline(always)]
            pub const fn get(self) -> $number {
                <$number>::from_be(self.0)
            }
        }

        impl Wire for $name {
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (taken, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self(<$number>::from_ne_bytes(*taken)))
            }
        }
    )+};
}

big_endian! {
    /// Sixteen bits in network order.
    Be16(u16);
    /// Thirty-two bits in network order.
    Be32(u32);
    /// Sixty-four bits in network order.
    Be64(u64);
}

/// Declares a record of `$size` bytes whose fields follow each other without a gap.
macro_rules! wire {
    ($(#[$doc:meta])* pub struct $name:ident: $size:literal {
        $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)+
        }

        const _: () = assert!(size_of::<$name>() == $size && $size == 0 $(+ size_of::<$type>())+);

        impl $name {
            /// Bytes of one record.
            pub const SIZE: usize = $size;

            /// Reads a record that fills `bytes` exactly; none where the length differs.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let mut rest = bytes;
                let record = $crate::wire::Wire::take(&mut rest)?;
                rest.is_empty().then_some(record)
            }
        }

        impl $crate::wire::Wire for $name {
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::wire::Wire::take(bytes)?,)+ })
            }
        }
    };
}
pub(crate) use wire;
