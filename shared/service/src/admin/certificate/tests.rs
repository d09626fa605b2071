use super::*;
use rcgen::{CertificateParams, KeyPair};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// A folder with a certificate of its own making, its key and an authority.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let [certificate, key] = pair();
        folder.put("cert.pem", &certificate);
        folder.put("key.pem", &key);
        folder.put("ca.pem", &pair()[0]);
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Replaces a file, whole, as a careful operator would.
    fn put(&self, name: &str, content: &str) {
        let draft = self.path("draft");
        std::fs::write(&draft, content).unwrap();
        std::fs::set_permissions(&draft, Permissions::from_mode(0o440)).unwrap();
        std::fs::rename(&draft, self.path(name)).unwrap();
    }

    fn named(&self, variables: &[(&str, &str)]) -> Result<Option<CertificateFiles>, String> {
        let variables = variables
            .iter()
            .map(|(name, file)| (*name, self.path(file)));
        named(&variables.collect())
    }

    fn files(&self) -> CertificateFiles {
        let all = [
            (CERTIFICATE, "cert.pem"),
            (KEY, "key.pem"),
            (CLIENT_CA, "ca.pem"),
        ];
        self.named(&all).unwrap().unwrap()
    }
}

fn named(environment: &Environment) -> Result<Option<CertificateFiles>, String> {
    let mut problems = Vec::new();
    let files = CertificateFiles::named(environment, Deployment::Prod, &mut problems);
    problems.pop().map_or(Ok(files), Err)
}

fn pair() -> [String; 2] {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    [certificate.pem(), key.serialize_pem()]
}

#[test]
fn a_certificate_needs_its_key_and_both_are_paths() {
    let folder = Folder::new();
    assert_eq!(folder.named(&[]), Ok(None));
    for one in [CERTIFICATE, KEY, CLIENT_CA] {
        let problem = folder.named(&[(one, "cert.pem")]).unwrap_err();
        assert!(problem.contains("belong together"), "{problem}");
    }
    let pasted = [(CERTIFICATE, "./cert.pem"), (KEY, "-----BEGIN PLANTED")];
    let problem = named(&pasted.into_iter().collect()).unwrap_err();
    assert!(
        problem.contains(KEY) && !problem.contains("PLANTED"),
        "{problem}"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_variable_and_never_quoted() {
    let [certificate, key] = pair();
    let damaged = |pem: &str| pem.replacen("MI", "M~", 1);
    for (variable, name, content, problem) in [
        (CERTIFICATE, "cert.pem", "", "no certificate in PEM"),
        (CERTIFICATE, "cert.pem", &*key, "no certificate in PEM"),
        (CERTIFICATE, "cert.pem", &damaged(&certificate), "damaged"),
        (KEY, "key.pem", "", "no private key in PEM"),
        (KEY, "key.pem", &certificate, "no private key in PEM"),
        (KEY, "key.pem", &damaged(&key), "damaged"),
        ("cert.pem", "key.pem", &pair()[1], "cannot be used with"),
        ("key.pem", "cert.pem", &certificate, "cannot be used with"),
        (CLIENT_CA, "ca.pem", "", "no certificate in PEM"),
    ] {
        let folder = Folder::new();
        folder.put(name, content);
        let text = Certificate::open(folder.files()).unwrap_err().to_string();
        let path = folder.path(name);
        for part in [variable, &path, problem] {
            assert!(text.contains(part), "{text}, without {part}");
        }
        let quotes = |line: &str| !line.is_empty() && text.contains(line);
        assert!(!content.lines().any(quotes), "{text}");
    }
    for (variable, name) in [
        (CERTIFICATE, "cert.pem"),
        (KEY, "key.pem"),
        (CLIENT_CA, "ca.pem"),
    ] {
        let folder = Folder::new();
        std::fs::remove_file(folder.path(name)).unwrap();
        let absent = Certificate::open(folder.files()).unwrap_err().to_string();
        std::fs::create_dir(folder.path(name)).unwrap();
        let directory = Certificate::open(folder.files()).unwrap_err().to_string();
        assert!(
            absent.starts_with(variable) && absent.contains("cannot be read"),
            "{absent}"
        );
        assert!(directory.contains("it is not a file"), "{directory}");
    }
}

#[test]
fn in_prod_nobody_else_may_read_the_key() {
    let folder = Folder::new();
    let files = folder.files();
    std::fs::set_permissions(folder.path("key.pem"), Permissions::from_mode(0o444)).unwrap();
    let problem = Certificate::open(files.clone()).unwrap_err().to_string();
    assert!(problem.contains("its mode is 0444"), "{problem}");
    let trusting = CertificateFiles {
        key_is_for_us_alone: false,
        ..files
    };
    Certificate::open(trusting).unwrap();
}

#[test]
fn files_are_read_again_when_they_change_and_what_cannot_be_used_changes_nothing() {
    let folder = Folder::new();
    let mut certificate = Certificate::open(folder.files()).unwrap();
    let first = certificate.current();
    assert!(Arc::ptr_eq(&first, &certificate.current()));

    let [renewed, key] = pair();
    folder.put("cert.pem", &renewed);
    assert!(
        Arc::ptr_eq(&first, &certificate.current()),
        "half of a pair"
    );
    folder.put("key.pem", &key);
    let second = certificate.current();
    assert!(!Arc::ptr_eq(&first, &second));

    std::fs::remove_file(folder.path("key.pem")).unwrap();
    assert!(Arc::ptr_eq(&second, &certificate.current()));
    folder.put("key.pem", &key);
    assert!(!Arc::ptr_eq(&second, &certificate.current()));
    let shown = format!("{certificate:?}");
    assert!(!shown.contains("Key("), "{shown}");
}
