//! `register`: self-registration of people.

use super::intake::Intake;
use super::setting::section;
use super::value::switch;

section! {
    /// Self-registration.
    pub struct Register in "register" {
        /// Answer a registration with tokens, so that no login has to follow.
        auto_login: bool = Literal("0"), env ["REGISTER_AUTO_LOGIN"], Public, switch;
        /// Answer every registration the same, and tell by mail whether the address was free. Needs a mail server.
        enumeration_safe: bool = Literal("0"), env ["REGISTER_ENUMERATION_SAFE"], Public, switch;
    }
}

impl Register {
    pub(super) fn validate(&self, mail_server: bool, intake: &mut Intake<'_>) {
        if self.enumeration_safe && self.auto_login {
            intake.conflict(
                &["register.auto_login", "register.enumeration_safe"],
                "tokens in the answer would tell that the address was free",
                "switch register.auto_login off, or register.enumeration_safe",
            );
        }
        if self.enumeration_safe && !mail_server {
            intake.warn(
                "register.enumeration_safe",
                "without smtp.host people of tenants that have no mail server learn nothing after a registration",
            );
        }
    }
}
