//! Functions of our own, and those of DataFusion that are not offered.

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_string_view_array;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// Not offered: their results are as long as an argument says, and no memory pool sees them. `version` and
/// `uuid` are none of an analyst's business and not repeatable.
pub const REMOVED: &[&str] = &[
    "repeat", "lpad", "rpad", "array_repeat", "list_repeat", "array_resize", "list_resize", "generate_series", "gen_series", "range",
    "version", "uuid", "gen_random_uuid",
];

/// Takes away what is not offered and adds our own.
pub(crate) fn arrange(state: &mut SessionState) -> Result<()> {
    use datafusion::execution::FunctionRegistry;
    for name in REMOVED {
        state.deregister_udf(name)?;
    }
    let tables: Vec<String> = state.table_functions().keys().cloned().collect();
    for name in tables {
        state.deregister_udtf(&name)?;
    }
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(CidrMatch::new())))?;
    let bin = datafusion::functions::datetime::date_bin();
    state.register_udf(Arc::new(bin.as_ref().clone().with_aliases(["time_bucket"])))?;
    Ok(())
}

/// `cidr_match(ip, '10.0.0.0/8')`: whether a text is an address in the block. Text that is no address is not
/// in any block, null stays null; IPv4 addresses mapped into IPv6 count as IPv4. The block is a constant.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CidrMatch {
    signature: Signature,
}

impl CidrMatch {
    fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CidrMatch {
    fn name(&self) -> &str {
        "cidr_match"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null);
        match types {
            [address, block] if text(address) && text(block) => Ok(vec![DataType::Utf8View, DataType::Utf8View]),
            _ => plan_err!("cidr_match takes an address and a block, as in cidr_match(src_endpoint.ip, '10.0.0.0/8')"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [addresses, ColumnarValue::Scalar(block)] = args.args.as_slice() else {
            return plan_err!("the block of cidr_match is a constant such as '10.0.0.0/8'");
        };
        let Some(block) = block.try_as_str().flatten() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        let Some(block) = parse(block) else {
            return exec_err!("{block:?} is no block of addresses; write 192.0.2.0/24, 2001:db8::/32 or one address");
        };
        match addresses {
            ColumnarValue::Scalar(address) => {
                let inside = address.try_as_str().flatten().map(|a| inside(&block, a));
                Ok(ColumnarValue::Scalar(ScalarValue::Boolean(inside)))
            }
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(matches(&block, as_string_view_array(array)?))),
        }
    }
}

fn parse(block: &str) -> Option<IpNet> {
    block.parse().ok().or_else(|| block.parse::<IpAddr>().ok().map(IpNet::from))
}

fn inside(block: &IpNet, address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|a| block.contains(&a.to_canonical()) || block.contains(&a))
}

fn matches(block: &IpNet, addresses: &StringViewArray) -> ArrayRef {
    // Neighbouring events often come from one address.
    let mut last: Option<(u128, bool)> = None;
    let views = addresses.views();
    let answers = (0..addresses.len()).map(|i| {
        if addresses.is_null(i) {
            return None;
        }
        // A view of at most 12 bytes is the text itself.
        let (view, short) = (views[i], addresses.value(i).len() <= 12);
        if let (Some((seen, answer)), true) = (last, short)
            && seen == view
        {
            return Some(answer);
        }
        let answer = inside(block, addresses.value(i));
        last = short.then_some((view, answer));
        Some(answer)
    });
    Arc::new(answers.collect::<BooleanArray>())
}
