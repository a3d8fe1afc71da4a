//! What can be recorded, by its stable name.

macro_rules! actions {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$of:meta])* $action:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $action,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$action),+];

            /// The stable name in lines, rows and metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $text,)+
                }
            }
        }
    };
}

actions! {
    /// What somebody did with an account, or tried to.
    pub enum Action {
        /// Somebody registered.
        Register = "user.register",
        /// Somebody logged in.
        Login = "user.login",
        /// A refresh token was exchanged.
        Refresh = "token.refresh",
        /// A refresh token was used again after its successor; its family is revoked (S32).
        TokenReuse = "token.reuse",
        /// A client redeemed an authorization code.
        RedeemCode = "code.redeem",
        /// An authorization code was redeemed again; what it had yielded is revoked (S30).
        CodeReuse = "code.reuse",
        /// A client took a token back.
        RevokeToken = "token.revoke",
        /// Somebody let a client in, or refused to.
        Authorize = "client.authorize",
        /// Somebody logged out.
        Logout = "user.logout",
        /// Somebody logged out everywhere.
        LogoutAll = "user.logout_all",
        /// Somebody ended one of their sessions.
        EndSession = "user.session_end",
        /// Somebody edited their account.
        EditProfile = "user.edit",
        /// Somebody changed their password.
        ChangePassword = "user.password_change",
        /// Somebody deleted their account.
        DeleteAccount = "user.delete",
        /// A login got through its first half and waits for the second.
        MfaRequired = "mfa.required",
        /// The second half of a login was tried.
        MfaChallenge = "mfa.challenge",
        /// Somebody was shown a new TOTP secret.
        MfaEnrol = "mfa.enrol",
        /// Somebody showed that their authenticator has it: it is asked for from now on.
        MfaEnable = "mfa.enable",
        /// Somebody removed their second factor.
        MfaDisable = "mfa.disable",
        /// Somebody was shown new recovery codes; the old ones are worthless.
        RotateRecoveryCodes = "mfa.recovery_rotate",
        /// A recovery code was used up.
        UseRecoveryCode = "mfa.recovery_use",
        /// Somebody trusted a device.
        TrustDevice = "mfa.device_trust",
        /// A login was not asked for its second half because of a trusted device.
        UseTrustedDevice = "mfa.device_use",
        /// Somebody asked for a link that verifies an address.
        StartVerification = "user.verify_start",
        /// An address was verified by its link.
        VerifyEmail = "user.verify_email",
        /// Somebody asked for a link that sets a new password.
        Forgot = "user.forgot",
        /// A password was set by such a link.
        ResetPassword = "user.password_reset",
    }
}

actions! {
    /// What an administrator did outside the replicated log, or tried to.
    pub enum AdminAction {
        /// An account was made for somebody.
        CreateUser = "user.create",
        /// Somebody's account was edited.
        EditUser = "user.edit",
        /// Somebody's account was deleted.
        DeleteUser = "user.delete",
        /// An account was switched off.
        DisableUser = "user.disable",
        /// An account was switched on again.
        EnableUser = "user.enable",
        /// The locks of an account were ended.
        UnlockUser = "user.unlock",
        /// Every session of an account was ended.
        EndSessions = "user.sessions_end",
        /// The second factor of somebody who cannot show it any more was removed.
        ResetMfa = "user.mfa_reset",
        /// Somebody was given roles or lost some.
        ChangeRoles = "user.roles",
        /// A role was given permissions or lost some.
        ChangePermissions = "role.permissions",
        /// A batch of accounts was imported.
        ImportUsers = "user.import",
        /// A batch of accounts was looked at as if it were imported.
        CheckImport = "user.import_check",
        /// A consent was made or got more scopes.
        UpsertConsent = "consent.upsert",
        /// A consent was revoked.
        RevokeConsent = "consent.revoke",
        /// A consent was forgotten.
        DeleteConsent = "consent.delete",
        /// The refresh tokens of a client were revoked, and the client left as it is.
        RevokeClient = "client.revoke",
        /// The connection to a tenant's own database was tried.
        TestUserStore = "user_store.test",
        /// The schema of a tenant's own database was brought up to date.
        MigrateUserStore = "user_store.migrate",
        /// Somebody took a file with the state of a node: the sealed keys of every tenant.
        SaveSnapshot = "cluster.snapshot",
        /// The leader was asked to hand over.
        StepDown = "cluster.step_down",
    }
}
