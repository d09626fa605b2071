//! A replacement for access.token.core that gives every token a tenant, taken from the domain of an `email` claim.

use microbus_bus::Failure;
use microbus_token::Claims;
use microbus_wire::status::ErrorStatus;
use std::process::ExitCode;

fn tenant_of_email(claims: &mut Claims) -> Result<(), Failure> {
    let email = claims.get_text("email").map(String::from);
    let Some(domain) = email
        .as_deref()
        .and_then(|email| Some(email.split_once('@')?.1))
    else {
        return Err(Failure::new(
            ErrorStatus::BAD_REQUEST,
            "an email claim is required",
        ));
    };
    claims
        .insert("tenant", domain)
        .map_err(|error| Failure::new(ErrorStatus::INTERNAL, "internal error").with_detail(error))
}

fn main() -> ExitCode {
    access_token::main(vec![Box::new(tenant_of_email)])
}
