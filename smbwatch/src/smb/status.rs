//! The result that an answer gives ([MS-ERREF] 2.3.1).

use std::fmt::{self, Display, Formatter};

/// An NTSTATUS, or an error of DOS as 0xCCEEEE: class and code ([MS-CIFS] 2.2.2.4). Shown by its name where it
/// is one of the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// It was done.
    pub const SUCCESS: Self = Self(0);
    /// Interim: another answer will follow.
    pub const PENDING: Self = Self(0x0000_0103);
    /// A log-on goes on with the client's next request.
    pub const MORE_PROCESSING_REQUIRED: Self = Self(0xc000_0016);
    /// User or password are wrong.
    pub const LOGON_FAILURE: Self = Self(0xc000_006d);

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0000_0000 => "STATUS_SUCCESS",
            0x0000_0103 => "STATUS_PENDING",
            0xc000_0016 => "STATUS_MORE_PROCESSING_REQUIRED",
            0xc000_000d => "STATUS_INVALID_PARAMETER",
            0xc000_0022 => "STATUS_ACCESS_DENIED",
            0xc000_0034 => "STATUS_OBJECT_NAME_NOT_FOUND",
            0xc000_005e => "STATUS_NO_LOGON_SERVERS",
            0xc000_006a => "STATUS_WRONG_PASSWORD",
            0xc000_006d => "STATUS_LOGON_FAILURE",
            0xc000_006e => "STATUS_ACCOUNT_RESTRICTION",
            0xc000_0071 => "STATUS_PASSWORD_EXPIRED",
            0xc000_0072 => "STATUS_ACCOUNT_DISABLED",
            0xc000_00bb => "STATUS_NOT_SUPPORTED",
            0xc000_00cc => "STATUS_BAD_NETWORK_NAME",
            0xc000_015b => "STATUS_LOGON_TYPE_NOT_GRANTED",
            0xc000_0203 => "STATUS_USER_SESSION_DELETED",
            0xc000_0234 => "STATUS_ACCOUNT_LOCKED_OUT",
            _ => return None,
        })
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}
