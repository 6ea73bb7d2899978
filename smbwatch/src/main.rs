//! The command `smbwatch`.

fn main() -> std::process::ExitCode {
    smbwatch::cli::main()
}
