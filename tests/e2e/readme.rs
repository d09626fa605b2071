//! What the README and the page on rotation say is what is declared, read, tested and done.

use microbus_service::{Property, Rule};
use microbus_wire::duration;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Duration text as the README writes it: without the zero units that Go prints.
fn short(bound: Duration) -> String {
    duration::format(bound)
        .replace("m0s", "m")
        .replace("h0m", "h")
}

fn row(property: &Property) -> String {
    let code = |text: &str| format!("`{text}`");
    let rule = if let Rule::Own(rule) = property.rule {
        *rule
    } else {
        property.rule
    };
    let (least, most) = match rule {
        Rule::Duration { least, most } => {
            let cell = |bound| format!(" {}", code(&short(bound)));
            (cell(least), most.map(cell).unwrap_or_default())
        }
        Rule::Count { least, most } => (format!(" `{least}`"), format!(" `{most}`")),
        Rule::Switch
        | Rule::Key
        | Rule::Choice(_)
        | Rule::Words(_)
        | Rule::Path
        | Rule::Minters
        | Rule::MintPolicy
        | Rule::Own(_)
        | Rule::OwnFile { .. } => (String::new(), String::new()),
    };
    let default = match property.default {
        "" => "none".to_owned(),
        default => code(default),
    };
    format!(
        "| {} | {default} |{least} |{most} | {} |",
        code(property.name),
        property.effect
    )
}

#[test]
fn every_property_stands_in_its_table_with_default_bounds_and_effect() {
    let readme = include_str!("../../README.md");
    let properties = access_token::PROPERTIES
        .iter()
        .chain(bearer_token::PROPERTIES);
    for row in properties.map(row) {
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
}

#[test]
fn every_log_line_of_the_page_on_rotation_is_written_by_the_code() {
    let page = include_str!("../../access-token/ROTATION.md");
    let code = [
        include_str!("../../access-token/src/exchange.rs"),
        include_str!("../../access-token/src/issuer.rs"),
        include_str!("../../access-token/src/replicas.rs"),
        include_str!("../../access-token/src/service.rs"),
        include_str!("../../shared/service/src/lifecycle/claim.rs"),
        include_str!("../../shared/service/src/warming.rs"),
    ];
    // Log lines are the quoted texts of several words that begin with a capital.
    let quoted = page.split('`').skip(1).step_by(2);
    let lines: Vec<_> = quoted
        .filter(|text| text.contains(' ') && text.starts_with(char::is_uppercase))
        .collect();
    assert!(lines.len() > 5, "{lines:?}");
    for line in lines {
        assert!(
            code.iter().any(|file| file.contains(line)),
            "nothing logs '{line}'"
        );
    }
}

#[test]
fn every_figure_of_the_page_on_rotation_is_that_of_the_code() {
    let page = include_str!("../../access-token/ROTATION.md");
    let member = include_str!("../../access-token/src/member.rs");
    let replicas = include_str!("../../access-token/src/replicas.rs");
    let exchange = include_str!("../../access-token/src/exchange.rs");
    let claim = include_str!("../../shared/bus/src/claim.rs");
    let warming = include_str!("../../shared/service/src/warming.rs");
    let health = include_str!("../../shared/service/src/health.rs");
    let ring = include_str!("../../shared/token/src/ring.rs");
    for (said, code, source) in [
        (
            "asked again after 1.1 s",
            "DEBOUNCE: Duration = Duration::from_millis(1100)",
            member,
        ),
        ("twice at most", "SHOWING_RETRIES: u32 = 2", member),
        ("up to three times", "TELLING_RETRIES: u32 = 2", member),
        (
            "at least 1.2 s apart",
            "SPACING: Duration = Duration::from_millis(1200)",
            member,
        ),
        ("From 1000 verifiers on", "MANY: usize = 1000", warming),
        ("500 a second", "AT_ONCE: usize = 50", warming),
        (
            "500 a second",
            "PAUSE: Duration = Duration::from_millis(100)",
            warming,
        ),
        (
            "fell silent for 15 s",
            "SILENCE: Duration = Duration::from_secs(15)",
            replicas,
        ),
        ("at most 16 of one", "MOST_OF_ONE: usize = 16", replicas),
        ("48 of all others", "MOST_FOREIGN: usize = 48", replicas),
        (
            "every five seconds",
            "INTERVAL: Duration = Duration::from_secs(5)",
            exchange,
        ),
        (
            "waits up to 60 ms",
            "LONGEST_EXPECTATION: Duration = Duration::from_millis(60)",
            exchange,
        ),
        ("up to five times", "Self::Somebody => 5", claim),
        ("hears nobody twice", "Self::Unknown => 2", claim),
        (
            "10 s after it was published",
            "ACTIVATION_DELAY: Duration = Duration::from_secs(10)",
            ring,
        ),
        (
            "16 min 5 s later",
            "MARGIN: Duration = Duration::from_secs(60)",
            ring,
        ),
        (
            "waits for replicas and verifiers to know its key",
            "waits for replicas and verifiers to know its key",
            health,
        ),
    ] {
        assert!(page.contains(said), "the page does not say '{said}'");
        assert!(source.contains(code), "the code does not say '{code}'");
    }
    let (ceiling, padding) = (
        microbus_token::ACCESS_CEILING,
        microbus_token::ACCESS_PADDING,
    );
    let minute = Duration::from_secs(60);
    assert_eq!(ceiling + padding + minute, Duration::from_secs(16 * 60 + 5));
}

#[test]
fn every_variable_that_is_read_is_named_and_no_other() {
    let readme = include_str!("../../README.md");
    let named = variables(readme.split(['`', '=', ' ', '\n']));
    let folders = [
        "shared/bus/src",
        "shared/service/src",
        "access-token/src",
        "bearer-token/src",
    ];
    let code: String = folders
        .iter()
        .map(|folder| all_in(&root().join(folder)))
        .collect();
    let read = variables(code.split('"'));
    assert!(read.len() > 15, "{read:?}");
    assert_eq!(named, read);
}

/// Returns what of these words are names of variables.
fn variables<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
    words
        .filter(|word| word.starts_with("MICROBUS_") && word.chars().all(is_part))
        .collect()
}

#[test]
fn every_difference_from_the_go_issuer_has_a_test() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme
        .split_once("## Differences from the Go issuer")
        .unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let differences: Vec<_> = rows
        .skip(1)
        .map(|row| row.split(" | ").next().unwrap().trim_start_matches("| "))
        .collect();
    let tested: Vec<_> = DIFFERENCES
        .iter()
        .map(|(difference, _, _)| *difference)
        .collect();
    assert_eq!(differences, tested);
    for (difference, file, test) in DIFFERENCES {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let declared = text.contains(&format!("fn {test}()"));
        assert!(declared, "{difference}: {file} has no test {test}");
    }
}

/// Where each row of the README's table of differences is tested.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "JWK Set",
        "tests/e2e/differences.rs",
        "a_jwk_set_is_answered_without_asking_anybody",
    ),
    (
        "keys of a replica that is gone",
        "tests/e2e/replicas.rs",
        "tokens_outlive_the_replica_that_signed_them_however_it_ended",
    ),
    (
        "JWK Set of the bearer issuer",
        "tests/e2e/sisters.rs",
        "a_key_leaves_the_union_when_nobody_is_configured_with_it_and_our_own_answer_at_once",
    ),
    (
        "stop of the last replica",
        "tests/e2e/replicas.rs",
        "the_last_replica_serves_keys_until_its_tokens_are_dead_or_another_one_is_there",
    ),
    (
        "a new key",
        "tests/e2e/replicas.rs",
        "a_key_of_a_replica_that_has_just_started_is_known_before_it_signs",
    ),
    (
        "whether a starting process is the only one",
        "tests/e2e/alone.rs",
        "alone_is_who_the_broker_says_so_to",
    ),
    (
        "`DefaultTokenLifetime`",
        "tests/e2e/configuration.rs",
        "values_of_the_configurator_are_in_force_from_the_start_and_after_a_refresh",
    ),
    (
        "`Content-Type` of a Mint",
        "tests/e2e/replay.rs",
        "in_local_every_recorded_request_is_answered_as_recorded",
    ),
    (
        "bad input",
        "tests/e2e/differences.rs",
        "an_error_answer_has_a_fixed_text_outside_local_and_never_a_stack",
    ),
    (
        "integers",
        "tests/e2e/mint.rs",
        "a_minted_token_verifies_by_the_published_set_and_has_the_right_claims",
    ),
    (
        "nesting",
        "shared/token/src/json/tests.rs",
        "nesting_is_bounded",
    ),
    (
        "`kid`, `jti`",
        "tests/e2e/mint.rs",
        "replicas_sign_with_keys_of_their_own_and_share_the_work",
    ),
    (
        "invalid property in our own files",
        "tests/e2e/startup.rs",
        "every_problem_of_the_configuration_is_listed_and_the_code_is_78",
    ),
    (
        "a file of our own working directory that cannot be read or is no YAML",
        "bearer-token/tests/secrets.rs",
        "a_configuration_file_that_does_not_parse_is_not_quoted",
    ),
    (
        "the same at a refresh, or any invalid file",
        "tests/e2e/policy.rs",
        "a_file_that_cannot_be_read_at_a_refresh_lets_nobody_through",
    ),
    (
        "invalid value from the configurator",
        "tests/e2e/configuration.rs",
        "a_bad_value_from_the_configurator_is_the_default_at_start_and_the_old_value_later",
    ),
    (
        "names in our own section of a file",
        "shared/service/src/files.rs",
        "duplicates_and_unknown_names_are_problems_in_our_own_section_only",
    ),
    (
        "no configurator",
        "tests/e2e/startup.rs",
        "in_prod_it_retries_and_then_exits_where_no_configurator_answers",
    ),
    (
        "failed refresh",
        "tests/e2e/configuration.rs",
        "a_refresh_that_fails_says_so_and_is_made_up_for_by_itself",
    ),
    (
        "lost broker",
        "shared/bus/src/nats.rs",
        "a_lost_broker_is_looked_for_however_often_it_was_not_there",
    ),
    (
        "stack traces in answers",
        "tests/e2e/differences.rs",
        "an_error_answer_has_a_fixed_text_outside_local_and_never_a_stack",
    ),
    (
        "an error is told to all services so that they export its trace",
        "shared/service/src/telemetry/watcher/tests.rs",
        "a_flood_of_failures_is_no_flood_of_broadcasts",
    ),
    (
        "what a span tells of a request",
        "tests/e2e/telemetry.rs",
        "a_mint_is_a_span_that_names_its_caller_and_its_verified_actor",
    ),
    (
        "claim names that expressions take for a literal (`5`, `true`, quoted)",
        "tests/e2e/differences.rs",
        "what_the_operator_should_look_at_is_counted",
    ),
    (
        "an ack",
        "tests/e2e/mint.rs",
        "mint_and_jwks_are_answered_without_an_ack_and_all_else_with_one_unless_acks_are_asked_for",
    ),
    (
        "a flood of one caller",
        "tests/e2e/flood.rs",
        "each_request_of_a_flood_is_answered_once_and_another_caller_gets_its_token_meanwhile",
    ),
    (
        "requests in flight",
        "shared/bus/src/responder/tests.rs",
        "beyond_the_bound_a_request_is_shed_at_once_unless_it_is_exempt",
    ),
    (
        "claims of more than 1 MiB, whose token no header could carry",
        "tests/e2e/mint.rs",
        "claims_that_no_header_could_carry_are_refused",
    ),
    (
        "a message of more than 256 header fields",
        "shared/wire/src/frame/tests.rs",
        "a_message_of_too_many_header_fields_is_refused",
    ),
    (
        "incomplete fragmented requests of one caller",
        "shared/bus/src/responder/tests/fragments.rs",
        "incomplete_requests_of_one_caller_leave_room_for_another",
    ),
    (
        "duplicate or absurd fragment indexes",
        "tests/e2e/fragments.rs",
        "a_doubled_or_absurd_fragment_is_refused_with_an_answer",
    ),
    (
        "fragments that never come",
        "tests/e2e/fragments.rs",
        "a_request_whose_fragments_do_not_all_come_is_answered_408",
    ),
    (
        "rotation of the bearer key",
        "tests/e2e/bearer.rs",
        "in_two_changes_primary_first_the_outgoing_key_signs_on_and_is_not_published_meanwhile",
    ),
    (
        "a bad `PrivateKey` at a refresh",
        "tests/e2e/bearer.rs",
        "a_bad_key_changes_nothing_and_a_removed_one_is_gone_at_once",
    ),
    (
        "a bad `PrivateKey` of the configurator at start",
        "tests/e2e/bearer.rs",
        "with_a_bad_key_of_the_configurator_it_starts_and_mints_once_that_is_mended",
    ),
    (
        "the operator's key",
        "tests/e2e/bearer.rs",
        "a_key_from_a_file_never_crosses_the_bus_and_is_rotated_by_replacing_the_file",
    ),
    (
        "stop",
        "tests/e2e/shutdown.rs",
        "under_load_a_graceful_stop_answers_every_request_that_it_acked",
    ),
    (
        "`MICROBUS_LOCALITY=aws`",
        "shared/service/src/cloud.rs",
        "amazon_is_asked_with_a_session_token_where_it_gives_one",
    ),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the text of all files in `folder` and below.
fn all_in(folder: &Path) -> String {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => all_in(&path),
            false => fs::read_to_string(path).unwrap(),
        })
        .collect()
}
