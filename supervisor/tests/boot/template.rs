//! A cluster made beforehand is as good as one made on the spot. (Its use is tested in the image, where it lies.)

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_template_holds_a_whole_cluster_and_only_the_cluster() {
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL's user has to reach it.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join("template.tar.zst");
    let supervisor = env!("CARGO_BIN_EXE_supervisor");
    let output = Command::new(supervisor).args(["template", "--to"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the file");

    let mut archive = tar::Archive::new(zstd::Decoder::new(std::fs::File::open(&file).unwrap()).unwrap());
    archive.unpack(folder.path().join("unpacked")).unwrap();
    let unpacked = folder.path().join("unpacked");
    let mode = std::fs::metadata(unpacked.join("global")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    for name in ["PG_VERSION", "global/pg_control", "base/1"] {
        assert!(unpacked.join(name).exists(), "{name}");
    }
    assert!(!unpacked.join("postmaster.pid").exists());
}
