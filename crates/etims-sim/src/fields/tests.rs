use super::*;

fn read<T>(body: &str, read: impl Fn(&Fields) -> Result<T, Refusal>) -> Result<T, String> {
    read(&Fields::of_body(body.as_bytes()).unwrap()).map_err(|refusal| refusal.message)
}

fn problem<T: std::fmt::Debug>(result: Result<T, String>) -> String {
    result.unwrap_err()
}

#[test]
fn absent_null_and_blank_texts_are_missing() {
    for body in ["{}", r#"{"a":null}"#, r#"{"a":""}"#, r#"{"a":" "}"#] {
        let message = problem(read(body, |f| f.text("a", 5)));
        assert_eq!(
            message, "Request parameter error[<a> : may not be empty]",
            "{body}"
        );
    }
}

#[test]
fn texts_must_be_strings_of_limited_length() {
    assert_eq!(read(r#"{"a":"héé"}"#, |f| f.text("a", 3)), Ok("héé".into()));
    assert!(problem(read(r#"{"a":"abcd"}"#, |f| f.text("a", 3))).contains("longer than 3"));
    assert!(problem(read(r#"{"a":1}"#, |f| f.text("a", 3))).contains("must be a string"));
    assert_eq!(
        read(r#"{"a":12}"#, |f| f.text_or_number("a", 3)),
        Ok("12".into())
    );
}

#[test]
fn amounts_must_be_exact_numbers_that_fit() {
    let amount = |body: &str| read(body, |f| f.amount("a", 18, 2));
    assert_eq!(amount(r#"{"a":1160.10}"#).unwrap().to_string(), "1160.10");
    assert_eq!(
        amount(r#"{"a":9999999999999999.99}"#).unwrap().to_string(),
        "9999999999999999.99"
    );
    assert!(amount(r#"{"a":1.000}"#).is_ok());
    for wrong in ["1.001", "-1", "\"1\"", "1e2", "[]", "10000000000000000"] {
        assert!(amount(&format!(r#"{{"a":{wrong}}}"#)).is_err(), "{wrong}");
    }
}

#[test]
fn whole_numbers_may_be_quoted() {
    assert_eq!(read(r#"{"n":7}"#, |f| f.integer("n")), Ok(7));
    assert_eq!(read(r#"{"n":"7"}"#, |f| f.integer("n")), Ok(7));
    for wrong in ["7.0", "\"x\"", "{}"] {
        assert!(
            read(&format!(r#"{{"n":{wrong}}}"#), |f| f.integer("n")).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn times_must_be_well_formed_and_past() {
    let now = clock::parse_compact("20260305141500").unwrap();
    let time = |body: &str| read(body, |f| f.time("t", now));
    assert!(time(r#"{"t":"20260305141500"}"#).is_ok());
    assert!(problem(time(r#"{"t":"20260305141501"}"#)).contains("future"));
    assert!(problem(time(r#"{"t":"2026-03-05"}"#)).contains("yyyyMMddHHmmss"));
    assert!(problem(read(r#"{"d":"20260306"}"#, |f| f.day("d", now))).contains("future"));
}

#[test]
fn body_that_is_no_json_object_is_refused() {
    assert_eq!(Fields::of_body(b"").err().unwrap().code, "911");
    for body in ["[]", "nonsense", "\"text\""] {
        assert_eq!(
            Fields::of_body(body.as_bytes()).err().unwrap().code,
            "910",
            "{body}"
        );
    }
}

#[test]
fn refusal_of_a_line_names_the_line() {
    let body = br#"{"itemList":[{"itemNm":"a"},{"itemNm":""}]}"#;
    let lines = Fields::of_body(body).unwrap().list("itemList").unwrap();
    assert_eq!(
        lines[1].text("itemNm", 10).unwrap_err().gateway_message,
        "Expected a value for itemNm on item: 2"
    );
}
