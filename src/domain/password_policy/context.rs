//! Words that somebody would guess because of whose password it is, and where (S63).

use std::cmp::Reverse;

use super::fold;

/// Shortest word that counts; shorter ones stand in every other password by chance.
const SHORTEST: usize = 4;
/// Characters that a password with such words must have beside them.
const BESIDE: usize = 8;

/// Whose password it is. One that **is** such a word is refused, and one that is hardly more; one that has enough
/// beside it may be a good one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// E-mail address; its local part and the names in its domain count as well.
    pub email: Option<&'a str>,
    /// Slug of the tenant.
    pub tenant: Option<&'a str>,
    /// Name of the tenant, as people read it.
    pub tenant_name: Option<&'a str>,
}

impl Context<'_> {
    /// Whether a folded password is the address, its local part, or the tenant's slug or name.
    pub(super) fn names(&self, password: &str) -> bool {
        let local = self.address().map(|(local, _)| local);
        let words = [self.email, local, self.tenant, self.tenant_name];
        words.into_iter().flatten().any(|word| fold(word) == password)
    }

    /// Whether a folded password is such words and little else.
    pub(super) fn fills(&self, password: &str) -> bool {
        let mut words = self.words();
        // The longest first: what is left of a whole name is not taken for something beside it.
        words.sort_by_key(|word| Reverse(word.len()));
        let mut beside = password.to_owned();
        let mut found = false;
        for word in words.iter().filter(|word| word.chars().count() >= SHORTEST) {
            if beside.contains(word) {
                beside = beside.replace(word, "");
                found = true;
            }
        }
        found && beside.chars().count() < BESIDE
    }

    fn address(&self) -> Option<(&str, &str)> {
        self.email?.rsplit_once('@')
    }

    /// Each name as a whole and in its parts, folded. Of a domain the last label says nothing about anybody.
    fn words(&self) -> Vec<String> {
        let (local, domain) = self.address().unzip();
        let domain = domain.and_then(|domain| domain.rsplit_once('.')).map(|(names, _)| names);
        let mut words = Vec::new();
        for text in [local, domain, self.tenant, self.tenant_name].into_iter().flatten() {
            words.push(fold(text));
            words.extend(text.split(|c: char| !c.is_alphanumeric()).map(fold));
        }
        words
    }
}
