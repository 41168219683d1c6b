//! The filter syntax of `GET /api/v1/events`: `FIELD=VALUE` and its relatives.
use crate::params::did_you_mean;
use crate::problem::Problem;
use engine::lake::{Filter, Op};
use event::{COLUMNS, Column, Kind};
use std::net::IpAddr;

/// Values in one `:in=` list.
const IN_MAX: usize = 100;

/// Reads one filter.
pub fn parse(text: &str) -> Result<Filter, Problem> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@'))).unwrap_or(text.len());
    let (field, rest) = text.split_at(end);
    let column = column(field)?;
    let op = operator(column, rest).map_err(|why| Problem::bad_request(format!("filter {text:?}: {why}")))?;
    Ok(Filter { column, op })
}

/// The column of an OCSF or ECS name.
pub fn column(field: &str) -> Result<&'static Column, Problem> {
    event::column(field).ok_or_else(|| {
        let names: Vec<&str> = COLUMNS.iter().flat_map(|c| std::iter::once(c.path).chain(c.ecs.iter().copied())).collect();
        Problem::bad_request(format!("there is no field {field:?}{}", did_you_mean(field, &names)))
    })
}

fn operator(column: &Column, rest: &str) -> Result<Op, String> {
    let strip = |operator: &str| rest.strip_prefix(operator);
    if rest == ":exists" {
        return Ok(Op::Exists);
    }
    if column.kind == Kind::Time {
        return Err("times are asked for with `from` and `to`".into());
    }
    if let Some(value) = strip("!=") {
        return exact(column, value).map(Op::Ne);
    }
    if let Some(value) = strip(">=") {
        return number(column, value).map(Op::Gte);
    }
    if let Some(value) = strip("<=") {
        return number(column, value).map(Op::Lte);
    }
    if let Some(value) = strip("~") {
        return part(column, value).map(Op::Contains);
    }
    if let Some(value) = strip(":cidr=") {
        return cidr(column, value).map(Op::Cidr);
    }
    if let Some(value) = strip(":in=") {
        return list(column, value).map(Op::In);
    }
    if let Some(value) = strip("=") {
        return exact(column, value).map(Op::Eq);
    }
    Err("after the field comes one of = != ~ >= <= :cidr= :in= :exists".into())
}

fn exact(column: &Column, value: &str) -> Result<String, String> {
    match column.kind {
        Kind::Int => value.parse::<i64>().map(|n| n.to_string()).map_err(|_| format!("{value:?} is no whole number")),
        Kind::Float => value.parse::<f64>().map(|n| n.to_string()).map_err(|_| format!("{value:?} is no number")),
        Kind::Text | Kind::TextList | Kind::Time => Ok(value.to_owned()),
    }
}

fn number(column: &Column, value: &str) -> Result<f64, String> {
    if !matches!(column.kind, Kind::Int | Kind::Float) {
        return Err(format!("{} is text; use = or ~", column.path));
    }
    value.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(|| format!("{value:?} is no number"))
}

fn part(column: &Column, value: &str) -> Result<String, String> {
    match column.kind {
        Kind::Text | Kind::TextList if !value.is_empty() => Ok(value.to_owned()),
        Kind::Text | Kind::TextList => Err("the text to look for is empty".into()),
        _ => Err(format!("{} is a number; use = >= <=", column.path)),
    }
}

fn list(column: &Column, value: &str) -> Result<Vec<String>, String> {
    let values: Vec<String> = value.split(',').map(|v| exact(column, v)).collect::<Result<_, _>>()?;
    if values.len() > IN_MAX {
        return Err(format!("more than {IN_MAX} values"));
    }
    Ok(values)
}

fn cidr(column: &Column, value: &str) -> Result<String, String> {
    if !column.path.ends_with(".ip") {
        return Err(format!("{} holds no addresses", column.path));
    }
    let (address, length) = value.split_once('/').ok_or("a block looks like 192.0.2.0/24")?;
    let address: IpAddr = address.parse().map_err(|_| format!("{address:?} is no address"))?;
    let length_max = if address.is_ipv4() { 32 } else { 128 };
    length.parse::<u8>().ok().filter(|n| *n <= length_max).ok_or_else(|| format!("the prefix is 0 to {length_max}"))?;
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(&'static str, Op), String> {
        parse(text).map(|f| (f.column.path, f.op)).map_err(|p| format!("{p:?}"))
    }

    #[test]
    fn every_operator_is_read_under_either_name() {
        assert_eq!(read("user.name=a=b"), Ok(("actor.user.name", Op::Eq("a=b".into()))));
        assert_eq!(read("actor.user.name!=alice"), Ok(("actor.user.name", Op::Ne("alice".into()))));
        assert_eq!(read("url.path~../"), Ok(("http_request.url.path", Op::Contains("../".into()))));
        assert_eq!(read("http_response.code>=500"), Ok(("http_response.code", Op::Gte(500.0))));
        assert_eq!(read("http_response.code<=499"), Ok(("http_response.code", Op::Lte(499.0))));
        assert_eq!(read("http_response.code:in=401,403"), Ok(("http_response.code", Op::In(vec!["401".into(), "403".into()]))));
        assert_eq!(read("source.ip:cidr=2001:db8::/32"), Ok(("src_endpoint.ip", Op::Cidr("2001:db8::/32".into()))));
        assert_eq!(read("rule.id:exists"), Ok(("finding_info.rules", Op::Exists)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_way_out() {
        for (text, hint) in [
            ("user.nmae=x", "did you mean user.name?"),
            ("user.name", "after the field"),
            ("user.name>=3", "is text"),
            ("http_response.code=abc", "no whole number"),
            ("http_response.code>=NaN", "no number"),
            ("source.ip:cidr=192.0.2.0/33", "0 to 32"),
            ("source.ip:cidr=x", "a block looks like"),
            ("user.name:cidr=10.0.0.0/8", "holds no addresses"),
            ("time>=3", "`from` and `to`"),
            ("", "there is no field"),
        ] {
            let answer = read(text).unwrap_err();
            assert!(answer.contains(hint), "{text}: {answer}");
        }
    }
}
