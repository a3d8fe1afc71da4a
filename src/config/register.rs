//! `register`: self-registration of people.

use super::setting::section;
use super::value::switch;

section! {
    /// Self-registration.
    pub struct Register in "register" {
        /// Answer a registration with tokens, so that no login has to follow.
        auto_login: bool = Literal("0"), env ["REGISTER_AUTO_LOGIN"], Public, switch;
    }
}
