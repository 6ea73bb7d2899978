//! Where the running kernel keeps what names a process: offsets in bytes, from its type information.

/// Name of the read-only global that holds a [`Layout`].
pub const LAYOUT: &str = "LAYOUT";

macro_rules! layout {
    ($($(#[$doc:meta])+ $field:ident,)+) => {
        /// Offsets of fields. All of them are known, or `known` is 0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct Layout {
            /// Not 0: the offsets hold.
            pub known: u32,
            $($(#[$doc])+ pub $field: u32,)+
        }

        impl Layout {
            /// The global as the program reads it, in the byte order of this machine.
            pub fn to_bytes(&self) -> impl Iterator<Item = u8> {
                [self.known, $(self.$field),+].into_iter().flat_map(u32::to_ne_bytes)
            }
        }
    };
}

layout! {
    /// `task_struct.group_leader`
    task_group_leader,
    /// `task_struct.real_parent`
    task_real_parent,
    /// `task_struct.tgid`
    task_tgid,
    /// `task_struct.start_boottime`
    task_start_boottime,
    /// `task_struct.self_exec_id`
    task_self_exec_id,
    /// `task_struct.mm`
    task_mm,
    /// `mm_struct.arg_start`
    mm_arg_start,
    /// `mm_struct.arg_end`
    mm_arg_end,
    /// `mm_struct.exe_file`
    mm_exe_file,
    /// `file.f_path.mnt`
    file_mount,
    /// `file.f_path.dentry`
    file_dentry,
    /// `dentry.d_parent`
    dentry_parent,
    /// `dentry.d_name.name`
    dentry_name,
    /// `dentry.d_hash.pprev`
    dentry_hashed,
    /// `vfsmount.mnt_root`
    vfsmount_root,
    /// `mount.mnt`, a `vfsmount`
    mount_vfsmount,
    /// `mount.mnt_parent`
    mount_parent,
    /// `mount.mnt_mountpoint`
    mount_mountpoint,
}
