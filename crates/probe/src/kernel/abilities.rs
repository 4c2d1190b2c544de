//! Which kinds of attach points this kernel gives at all, found out once and without loading a tracker for it.

use std::{fs, io, os::fd::FromRawFd, os::fd::OwnedFd, path::Path, ptr, sync::OnceLock};

use libbpf_sys::{
    BPF_LSM_MAC, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT,
    BPF_TRACE_KPROBE_MULTI, bpf_attach_type, bpf_insn, bpf_link_create, bpf_link_create_opts, bpf_prog_load,
    bpf_prog_load_opts, bpf_prog_type,
};

/// Why this kernel refuses all programs of a kind, which is a section's name up to the slash. None where it does not,
/// or where only trying shows it.
pub(crate) fn refusal(kind: &str) -> Option<&'static str> {
    static KINDS: OnceLock<[(&str, Option<String>); 5]> = OnceLock::new();
    let kinds = KINDS.get_or_init(|| {
        [
            ("fentry", load_refusal(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY)),
            ("fexit", load_refusal(BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT)),
            ("lsm", lsm_refusal()),
            ("kprobe", kprobe_refusal()),
            ("kprobe.multi", multi_refusal()),
        ]
    });
    let kind = kind.trim_end_matches(".s").replace("kretprobe", "kprobe");
    kinds.iter().find(|(name, _)| *name == kind).and_then(|(_, reason)| reason.as_deref())
}

/// Loads a program that does nothing. One that must name a kernel function names something else: a kernel that would
/// load the kind says that it is no function, one that refuses the kind does not get that far.
fn try_load(program: bpf_prog_type, attach: bpf_attach_type) -> io::Result<OwnedFd> {
    let instructions = [(0xb7, 0), (0x95, 0)].map(|(code, imm)| bpf_insn { code, imm, ..Default::default() });
    let mut options = bpf_prog_load_opts {
        sz: size_of::<bpf_prog_load_opts>() as _,
        expected_attach_type: attach,
        attach_btf_id: if program == BPF_PROG_TYPE_KPROBE { 0 } else { 1 },
        ..Default::default()
    };
    // SAFETY: every pointer is to something that outlives the call, or null where libbpf allows it.
    let fd = unsafe {
        bpf_prog_load(
            program,
            ptr::null(),
            c"GPL".as_ptr(),
            instructions.as_ptr(),
            instructions.len() as _,
            &mut options,
        )
    };
    // SAFETY: a descriptor that is not negative was just opened for us and has no other owner.
    if fd < 0 { Err(io::Error::from_raw_os_error(-fd)) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

fn load_refusal(program: bpf_prog_type, attach: bpf_attach_type) -> Option<String> {
    let error = try_load(program, attach).err()?;
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| format!("the kernel refuses this kind: {error}"))
}

fn lsm_refusal() -> Option<String> {
    if let Some(reason) = load_refusal(BPF_PROG_TYPE_LSM, BPF_LSM_MAC) {
        return Some(reason);
    }
    match fs::read_to_string("/sys/kernel/security/lsm") {
        Ok(active) if active.trim().split(',').any(|lsm| lsm == "bpf") => None,
        Ok(active) => Some(format!("'bpf' is not among the active security modules ({})", active.trim())),
        Err(error) => Some(format!("cannot find out whether BPF is an active security module: {error}")),
    }
}

fn kprobe_refusal() -> Option<String> {
    let missing = !Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    missing.then(|| "this kernel is built without kprobes".into())
}

fn multi_refusal() -> Option<String> {
    use std::os::fd::AsRawFd;
    let program = match try_load(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI) {
        Ok(program) => program,
        Err(error) => return Some(format!("the kernel refuses this kind: {error}")),
    };
    let mut symbol = [c"vfs_statfs".as_ptr()];
    let mut options = bpf_link_create_opts { sz: size_of::<bpf_link_create_opts>() as _, ..Default::default() };
    options.__bindgen_anon_1.kprobe_multi.cnt = 1;
    options.__bindgen_anon_1.kprobe_multi.syms = symbol.as_mut_ptr();
    // SAFETY: every pointer is to something that outlives the call.
    let fd = unsafe { bpf_link_create(program.as_raw_fd(), 0, BPF_TRACE_KPROBE_MULTI, &options) };
    if fd < 0 {
        let error = io::Error::from_raw_os_error(-fd);
        return Some(format!("this kernel attaches no program to many functions at once: {error}"));
    }
    // SAFETY: a descriptor that is not negative was just opened for us and has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    None
}
