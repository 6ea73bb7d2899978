//! The running kernel's type information (Documentation/bpf/btf.rst), as far as offsets of fields need it.

use std::collections::HashMap;

use smbwatch_ebpf::layout::Layout;

/// Where the kernel shows it.
pub(super) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;

const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const CONST: u32 = 10;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const ENUM64: u32 = 19;

/// Anonymous structures inside each other that are looked into.
const MAX_DEPTH: u32 = 8;

/// The offsets that the programs need; none where the kernel does not tell, or has a field no more.
pub(super) fn layout() -> Option<Layout> {
    let bytes = std::fs::read(VMLINUX).ok()?;
    let types = Types::parse(&bytes)?;
    let path = types.offset("file", "f_path")?;
    let name = types.offset("dentry", "d_name")?;
    Some(Layout {
        known: 1,
        task_group_leader: types.offset("task_struct", "group_leader")?,
        task_real_parent: types.offset("task_struct", "real_parent")?,
        task_tgid: types.offset("task_struct", "tgid")?,
        task_start_boottime: types.offset("task_struct", "start_boottime")?,
        task_self_exec_id: types.offset("task_struct", "self_exec_id")?,
        task_mm: types.offset("task_struct", "mm")?,
        mm_arg_start: types.offset("mm_struct", "arg_start")?,
        mm_arg_end: types.offset("mm_struct", "arg_end")?,
        mm_exe_file: types.offset("mm_struct", "exe_file")?,
        file_mount: path + types.offset("path", "mnt")?,
        file_dentry: path + types.offset("path", "dentry")?,
        dentry_parent: types.offset("dentry", "d_parent")?,
        dentry_name: name + types.offset("qstr", "name")?,
        dentry_hashed: types.offset("dentry", "d_hash")? + types.offset("hlist_bl_node", "pprev")?,
        vfsmount_root: types.offset("vfsmount", "mnt_root")?,
        mount_vfsmount: types.offset("mount", "mnt")?,
        mount_parent: types.offset("mount", "mnt_parent")?,
        mount_mountpoint: types.offset("mount", "mnt_mountpoint")?,
    })
}

/// The types of one kernel.
struct Types<'a> {
    /// The types, one behind the other.
    bytes: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; identifier 1 is the first.
    starts: Vec<usize>,
    /// The first structure of each name that is asked for.
    structures: HashMap<&'a [u8], usize>,
}

/// The beginning of a type.
struct Header {
    name: u32,
    kind: u32,
    /// How many members, parameters and so on follow.
    count: usize,
    /// Bit offsets share their word with bit sizes.
    bit_fields: bool,
    /// Another type, where the kind refers to one.
    refers: u32,
}

const HEADER: usize = 12;
const MEMBER: usize = 12;

impl<'a> Types<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let magic = u16::from_ne_bytes(*bytes.first_chunk()?);
        let field = |index: usize| number(bytes, 4 + index * 4).map(|value| value as usize);
        if magic != MAGIC {
            return None;
        }
        let body = bytes.get(field(0)?..)?;
        let part = |offset: usize, length: usize| body.get(offset..)?.get(..length);
        let mut types = Self {
            bytes: part(field(1)?, field(2)?)?,
            strings: part(field(3)?, field(4)?)?,
            starts: Vec::new(),
            structures: HashMap::new(),
        };
        let mut at = 0;
        while at < types.bytes.len() {
            let header = types.header(at)?;
            if header.kind == STRUCT {
                let name = types.string(header.name)?;
                types.structures.entry(name).or_insert(at);
            }
            types.starts.push(at);
            at += HEADER + following(&header)?;
        }
        Some(types)
    }

    /// The offset in bytes of a field, also of one inside anonymous structures and unions.
    fn offset(&self, structure: &str, field: &str) -> Option<u32> {
        let at = *self.structures.get(structure.as_bytes())?;
        self.member(at, field.as_bytes(), MAX_DEPTH).map(|bits| bits / 8)
    }

    /// The offset in bits of a field of the structure or union at `at`.
    fn member(&self, at: usize, field: &[u8], depth: u32) -> Option<u32> {
        let header = self.header(at)?;
        if !matches!(header.kind, STRUCT | UNION) || depth == 0 {
            return None;
        }
        (0..header.count).find_map(|index| {
            let member = at + HEADER + index * MEMBER;
            let offset = number(self.bytes, member + 8)?;
            let offset = if header.bit_fields { offset & 0x00ff_ffff } else { offset };
            let name = self.string(number(self.bytes, member)?)?;
            if name == field {
                return Some(offset);
            }
            let inner =
                if name.is_empty() { self.start(number(self.bytes, member + 4)?)? } else { return None };
            self.member(inner, field, depth - 1).and_then(|inside| offset.checked_add(inside))
        })
    }

    /// Where a type begins, with `const` and the like passed over.
    fn start(&self, id: u32) -> Option<usize> {
        let at = *self.starts.get((id as usize).checked_sub(1)?)?;
        let header = self.header(at)?;
        if header.kind == CONST {
            self.starts.get((header.refers as usize).checked_sub(1)?).copied()
        } else {
            Some(at)
        }
    }

    fn header(&self, at: usize) -> Option<Header> {
        let info = number(self.bytes, at + 4)?;
        Some(Header {
            name: number(self.bytes, at)?,
            kind: info >> 24 & 0x1f,
            count: (info & 0xffff) as usize,
            bit_fields: info >> 31 != 0,
            refers: number(self.bytes, at + 8)?,
        })
    }

    fn string(&self, offset: u32) -> Option<&'a [u8]> {
        self.strings.get(offset as usize..)?.split(|byte| *byte == 0).next()
    }
}

/// Bytes behind a type's header; none where the kind is not known, and so its length is not.
fn following(header: &Header) -> Option<usize> {
    match header.kind {
        INT | VAR | DECL_TAG => Some(4),
        ARRAY => Some(12),
        STRUCT | UNION | DATASEC | ENUM64 => Some(header.count * 12),
        ENUM | FUNC_PROTO => Some(header.count * 8),
        2 | 7..=12 | 16 | 18 => Some(0),
        _ => None,
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct s { int a; union { struct { int b; int c; }; int d; }; };` with an unrelated type before.
    fn example() -> Vec<u8> {
        let strings = b"\0s\0a\0b\0c\0d\0";
        let [s, a, b, c, d] = [1, 3, 5, 7, 9];
        let kind = |kind: u32, count: u32| kind << 24 | count;
        let types = [
            [0, kind(INT, 0), 4, 0].as_slice(),
            // 2: the inner structure; 3: the union; 4: const union; 5: `struct s`.
            &[0, kind(STRUCT, 2), 8, b, 1, 0, c, 1, 32],
            &[0, kind(UNION, 2), 8, 0, 2, 0, d, 1, 0],
            &[0, kind(CONST, 0), 3],
            &[s, kind(STRUCT, 2), 12, a, 1, 0, 0, 4, 32],
        ]
        .concat();
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_ne_bytes).collect();
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let sections = [24, 0, types.len(), types.len(), strings.len()]
            .map(|number| u32::try_from(number).expect("a small number"));
        bytes.extend(sections.into_iter().flat_map(u32::to_ne_bytes));
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn fields_are_found_inside_anonymous_structures() {
        let bytes = example();
        let types = Types::parse(&bytes).expect("an example");
        let offsets = ["a", "b", "c", "d", "e"].map(|field| types.offset("s", field));
        assert_eq!(offsets, [Some(0), Some(4), Some(8), Some(4), None]);
        assert_eq!(types.offset("t", "a"), None);
    }

    #[test]
    fn no_part_of_a_file_is_trusted() {
        let bytes = example();
        for length in 0..bytes.len() {
            let cut = bytes.get(..length).and_then(Types::parse);
            assert!(cut.is_none_or(|types| types.offset("s", "c").is_none()), "{length} bytes");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0xff] {
                let mut wrong = bytes.clone();
                wrong[at] = value;
                // Whatever it finds, it does not panic.
                let _ = Types::parse(&wrong).and_then(|types| types.offset("s", "c"));
            }
        }
    }
}
