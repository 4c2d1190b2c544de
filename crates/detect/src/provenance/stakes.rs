//! What is at stake: a prior in bits for programs, folders and targets that intrusions use more
//! often than ordinary work does. Never enough alone; it is added to what is new.

use super::name;

/// Bits for a program that runs commands or scripts of someone else's choice.
const INTERPRETER: f64 = 4.0;
/// Bits for a program that tells about the host, the domain or its users, or changes its settings.
const ADMIN_TOOL: f64 = 4.0;
/// Bits for a program that runs from a folder which users can write to.
const USER_FOLDER: f64 = 2.0;

const INTERPRETERS: [&str; 22] = [
    "cmd",
    "powershell",
    "pwsh",
    "powershell_ise",
    "wscript",
    "cscript",
    "mshta",
    "rundll32",
    "regsvr32",
    "msbuild",
    "installutil",
    "regasm",
    "regsvcs",
    "python",
    "pythonw",
    "java",
    "javaw",
    "perl",
    "wmic",
    "bash",
    "wsl",
    "cmstp",
];

const ADMIN_TOOLS: [&str; 53] = [
    "whoami",
    "net",
    "net1",
    "ipconfig",
    "systeminfo",
    "tasklist",
    "taskkill",
    "nltest",
    "nslookup",
    "arp",
    "route",
    "netstat",
    "netsh",
    "quser",
    "qwinsta",
    "query",
    "hostname",
    "dsquery",
    "setspn",
    "klist",
    "reg",
    "regini",
    "sc",
    "schtasks",
    "at",
    "certutil",
    "bitsadmin",
    "vssadmin",
    "wbadmin",
    "wevtutil",
    "bcdedit",
    "ntdsutil",
    "esentutil",
    "procdump",
    "psexec",
    "psexec64",
    "psexesvc",
    "plink",
    "pscp",
    "curl",
    "ftp",
    "tftp",
    "mstsc",
    "rdpclip",
    "tscon",
    "ping",
    "tracert",
    "icacls",
    "attrib",
    "fodhelper",
    "eventvwr",
    "nbtstat",
    "msiexec",
];

/// Bits for a program by its name and folder.
pub(super) fn of_image(path: &str) -> f64 {
    let mut bits = of_tool(path);
    if !is_protected(path) {
        bits += USER_FOLDER;
    }
    bits
}

/// Bits for a program by its name alone.
pub(super) fn of_tool(path: &str) -> f64 {
    let stem = name::stem(path);
    let mut bits = 0.0;
    if INTERPRETERS.contains(&stem) {
        bits += INTERPRETER;
    } else if ADMIN_TOOLS.contains(&stem) {
        bits += ADMIN_TOOL;
    }
    bits
}

/// Whether only administrators can write to the folder of a program: a new program there was most
/// likely brought by the system or an installation.
pub(super) fn is_protected(path: &str) -> bool {
    const PROTECTED: [&str; 8] = [
        "c:\\windows\\",
        "c:\\program files\\",
        "c:\\program files (x86)\\",
        "c:\\programdata\\microsoft\\windows defender\\",
        "/usr/",
        "/bin/",
        "/sbin/",
        "/opt/",
    ];
    const OPEN: [&str; 6] = [
        "c:\\windows\\temp\\",
        "c:\\windows\\tasks\\",
        "c:\\windows\\debug\\",
        "c:\\windows\\system32\\spool\\drivers\\color\\",
        "c:\\windows\\tracing\\",
        "c:\\windows\\system32\\tasks\\",
    ];
    PROTECTED.iter().any(|p| path.starts_with(p)) && !OPEN.iter().any(|p| path.starts_with(p))
        || !path.contains(['\\', '/'])
}

/// Whether a folder of this name is where everybody puts things, and so says nothing of its files.
pub(super) fn is_common_folder(folder: &str) -> bool {
    matches!(
        folder,
        "temp"
            | "tmp"
            | "downloads"
            | "desktop"
            | "documents"
            | "public"
            | "roaming"
            | "local"
            | "locallow"
            | "appdata"
            | "programdata"
            | "startup"
            | "programs"
            | "packages"
            | "microsoft"
            | "share"
            | "users"
    )
}

/// Whether a file of this name can be run, loaded or interpreted.
pub(super) fn is_code(path: &str) -> bool {
    name::extension(path).is_some_and(|e| {
        matches!(
            e,
            "exe"
                | "dll"
                | "sys"
                | "scr"
                | "com"
                | "ps1"
                | "psm1"
                | "vbs"
                | "vbe"
                | "js"
                | "jse"
                | "wsf"
                | "hta"
                | "bat"
                | "cmd"
                | "msi"
                | "cpl"
                | "ocx"
                | "jar"
                | "py"
                | "lnk"
                | "so"
                | "sh"
        )
    })
}

/// Whether a process keeps secrets of the host: to touch it is more severe than to touch another.
pub(super) fn keeps_secrets(path: &str) -> bool {
    matches!(name::stem(path), "lsass" | "winlogon" | "csrss")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_weighs_more_than_a_service_and_a_user_folder_more_than_the_system() {
        assert!(of_image("c:\\windows\\system32\\wscript.exe") > of_image("c:\\windows\\system32\\defrag.exe"));
        assert!(of_image("c:\\users\\a\\downloads\\defrag.exe") > of_image("c:\\windows\\system32\\defrag.exe"));
        assert!(of_image("c:\\windows\\temp\\x.exe") > 0.0);
        assert_eq!(of_image("system"), 0.0);
    }

    #[test]
    fn code_is_told_from_data() {
        assert!(is_code("c:\\users\\a\\x.ps1"));
        assert!(!is_code("c:\\users\\a\\x.txt"));
        assert!(!is_code("c:\\users\\a\\exe"));
    }
}
