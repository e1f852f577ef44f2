//! How is the state kept in a file? Written beside it, synced, and renamed over it: the old one or the new one, never half of one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Reads the file; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Of this process only: two that share the file by mistake must not write into one.
    let beside = with_suffix(path, &format!(".{}.tmp", std::process::id()));
    // What a process of this number left behind. Made anew, so that nobody's link is followed, and for nobody else's eyes.
    let _ = fs::remove_file(&beside);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let written = made.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if let Err(error) = written {
        // It may never have been made.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    // The rename itself is of the folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Puts a file that cannot be read aside, and says where it is now.
pub(super) fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = with_suffix(path, ".corrupt");
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let aside = put_aside(&path).unwrap();
        assert_eq!((read(&path).unwrap(), fs::read(aside).unwrap()), (None, b"two".to_vec()));
    }

    #[test]
    fn nobody_else_reads_it_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("state"), folder.path().join("other"));
        fs::write(&other, b"kept").unwrap();
        let beside = with_suffix(&path, &format!(".{}.tmp", std::process::id()));
        std::os::unix::fs::symlink(&other, &beside).unwrap();
        write(&path, b"one").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&other).unwrap()), (b"one".to_vec(), b"kept".to_vec()));
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("no/state"), b"x").is_err());
        assert!(read(folder.path()).is_err());
    }
}
