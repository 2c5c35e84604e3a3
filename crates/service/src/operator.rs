//! Who runs a command, as the operating system knows.

use std::fs;

/// The audit id of a session that nobody logged in to.
const NO_LOGIN: u32 = u32::MAX;

/// The name of the person who runs this program.
///
/// It is the login of the session, which stays the same under `sudo`. Where nobody logged in, as in
/// a container or under cron, it is the account that the program runs under. Variables such as
/// `USER` are not asked, because they say what anybody sets them to.
#[must_use]
pub fn operator_name() -> String {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let account = || rustix::process::getuid().as_raw();
    name_of(login_id(&login).unwrap_or_else(account), &accounts)
}

fn login_id(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|id| *id != NO_LOGIN)
}

/// The name of an account. One that is not in the file, such as that of a directory service, is
/// named by its id.
fn name_of(id: u32, accounts: &str) -> String {
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let is_it = fields.nth(1)?.parse() == Ok(id);
        is_it.then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &str =
        "root:x:0:0:root:/root:/bin/bash\nwanjiru:x:1000:1000::/home/w:/bin/sh\n";

    #[test]
    fn account_is_named_by_the_list_of_accounts() {
        assert_eq!(login_id("1000\n"), Some(1000));
        assert_eq!(login_id("4294967295"), None);
        assert_eq!(name_of(1000, ACCOUNTS), "wanjiru");
        assert_eq!(name_of(0, ACCOUNTS), "root");
        assert_eq!(name_of(77, ACCOUNTS), "uid 77");
    }

    #[test]
    fn operator_is_never_unknown() {
        let name = operator_name();
        assert!(!name.is_empty() && name != "unknown", "{name}");
    }
}
