use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tempfile::TempDir;

const PROPERTY: &str = "PrivateKeyFile";

/// The PKCS#8 text of a seed of equal bytes.
fn text(seed: u8) -> String {
    use base64::Engine as _;
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([seed; 32]);
    base64::engine::general_purpose::STANDARD.encode(der)
}

fn kid(file: &KeyFile) -> Option<String> {
    file.key().map(|key| key.id().to_string())
}

struct Fixture {
    folder: TempDir,
    file: KeyFile,
}

const FIRST: &str = "NHUPmL1Z_Pw";
const SECOND: &str = "ajgD1fBZkCo";

fn folder_with(content: &[u8], mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

fn open(path: &Path, secrecy: Secrecy) -> Result<KeyFile, KeyFileFault> {
    KeyFile::open(PROPERTY, path.to_str().unwrap(), secrecy)
}

fn look(file: &mut KeyFile) -> bool {
    let sight = file.look();
    sight.is_steady() && file.settle(sight)
}

fn fixture() -> Fixture {
    let (folder, path) = folder_with(text(1).as_bytes(), 0o400);
    let file = open(&path, Secrecy::NotOthers).unwrap();
    Fixture { folder, file }
}

impl Fixture {
    fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn write(&self, content: &str) {
        std::fs::remove_file(self.path()).ok();
        std::fs::write(self.path(), content).unwrap();
        std::fs::set_permissions(self.path(), std::fs::Permissions::from_mode(0o400)).unwrap();
    }

    /// Looks once and tells whether a change counts.
    fn look(&mut self) -> bool {
        look(&mut self.file)
    }

    /// Looks twice and tells whether either saw a change.
    fn settle(&mut self) -> bool {
        self.look() | self.look()
    }
}

#[test]
fn a_change_counts_when_two_looks_agree_on_it() {
    let mut fixture = fixture();
    assert!(!fixture.settle());
    fixture.write(&text(2));
    assert!(!fixture.look());
    assert_eq!(kid(&fixture.file).unwrap(), FIRST);
    assert!(fixture.look());
    assert_eq!(kid(&fixture.file).unwrap(), SECOND);
    assert!(!fixture.settle());
}

#[test]
fn what_one_look_alone_saw_is_nothing() {
    let mut fixture = fixture();
    fixture.write("");
    assert!(!fixture.look());
    fixture.write("MC4CAQAw");
    assert!(!fixture.look());
    fixture.write(&text(1));
    assert!(!fixture.settle());
    assert_eq!(kid(&fixture.file).unwrap(), FIRST);
    assert!(!fixture.file.is_unusable());
}

#[test]
fn an_emptied_file_takes_the_key_away() {
    let mut fixture = fixture();
    fixture.write("");
    assert!(fixture.settle());
    assert_eq!(kid(&fixture.file), None);
}

#[test]
fn a_file_that_disappears_leaves_the_key_and_an_alarm_until_it_is_back() {
    let mut fixture = fixture();
    std::fs::remove_file(fixture.path()).unwrap();
    assert!(!fixture.settle());
    assert!(fixture.file.is_unusable());
    assert_eq!(kid(&fixture.file).unwrap(), FIRST);
    fixture.write(&text(1));
    assert!(!fixture.settle(), "it is the same key");
    assert!(!fixture.file.is_unusable());
}

#[test]
fn a_bad_key_and_a_bad_mode_change_nothing() {
    let mut fixture = fixture();
    fixture.write("planted");
    assert!(!fixture.settle() && fixture.file.is_unusable());
    assert_eq!(kid(&fixture.file).unwrap(), FIRST);
    fixture.write(&text(2));
    std::fs::set_permissions(fixture.path(), std::fs::Permissions::from_mode(0o404)).unwrap();
    assert!(!fixture.settle() && fixture.file.is_unusable());
    std::fs::set_permissions(fixture.path(), std::fs::Permissions::from_mode(0o440)).unwrap();
    assert!(fixture.settle(), "the mode alone was mended");
    assert_eq!(kid(&fixture.file).unwrap(), SECOND);
}

#[test]
fn the_symlink_swap_of_a_kubernetes_mount_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (directory, seed) in [("..one", 1), ("..two", 2)] {
        std::fs::create_dir(path(directory)).unwrap();
        std::fs::write(path(directory).join("key"), text(seed)).unwrap();
    }
    symlink("..one", path("..data")).unwrap();
    symlink("..data/key", path("key")).unwrap();
    let mut file = open(&path("key"), Secrecy::Anybody).unwrap();
    assert_eq!(kid(&file).unwrap(), FIRST);
    symlink("..two", path("..data_tmp")).unwrap();
    std::fs::rename(path("..data_tmp"), path("..data")).unwrap();
    std::fs::remove_dir_all(path("..one")).unwrap();
    assert!(!look(&mut file) && look(&mut file));
    assert_eq!(kid(&file).unwrap(), SECOND);
}

#[test]
fn where_secrecy_counts_a_mode_that_lets_others_in_is_refused() {
    for mode in [0o404, 0o444, 0o644, 0o402, 0o401, 0o447] {
        let (_folder, path) = folder_with(text(1).as_bytes(), mode);
        let fault = open(&path, Secrecy::NotOthers).unwrap_err().to_string();
        let expected = format!(
            "{PROPERTY} {}: its mode is {mode:04o}, so that others may use it; wanted is 0440 or stricter",
            path.display()
        );
        assert!(fault.starts_with(&expected), "{fault}");
        assert!(open(&path, Secrecy::Anybody).is_ok());
    }
    for mode in [0o400, 0o440, 0o600, 0o640, 0o660] {
        let (_folder, path) = folder_with(text(1).as_bytes(), mode);
        assert!(open(&path, Secrecy::NotOthers).is_ok(), "{mode:o}");
    }
}

#[test]
fn what_is_no_key_file_is_named_and_never_quoted() {
    let cause = |path: &Path| open(path, Secrecy::Anybody).unwrap_err().to_string();
    let (folder, path) = folder_with(b"planted", 0o400);
    assert!(cause(&path).contains("neither PEM nor base64"));
    assert!(!cause(&path).contains("planted"));
    assert!(cause(folder.path()).contains("it is not a file"));
    assert!(cause(&folder.path().join("absent")).contains("cannot be read (entity not found)"));
    let (_folder, large) = folder_with(&vec![b'A'; LARGEST + 1], 0o400);
    assert!(cause(&large).contains("more than 16384 bytes"));
    let (_folder, full) = folder_with(&vec![b'A'; LARGEST], 0o400);
    assert!(!cause(&full).contains("more than"));
}

#[test]
fn a_pipe_is_refused_rather_than_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let fault = open(&path, Secrecy::Anybody).unwrap_err();
    assert_eq!(fault.cause, KeyFileError::NotAFile);
}

#[test]
fn debug_shows_no_key() {
    let fixture = fixture();
    let shown = format!("{:?}", fixture.file);
    assert!(
        !shown.contains("AQEBAQ") && !shown.contains("1, 1, 1"),
        "{shown}"
    );
}
