//! Application logs as services post them to `POST /api/logs`.

use crate::actor::{Attack, Moves};
use crate::address::{self, ACCESS};
use crate::clock;
use crate::json::object;
use crate::random::Random;
use event::{Entity, EntityKind, Timestamp};

pub(crate) static ATTACKS: &[Attack] = &[
    Attack { name: "credential_stuffing", techniques: &["T1110.004"] },
    Attack { name: "card_testing", techniques: &["T1657"] },
];

/// One log object, but for its time.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    service: &'static str,
    status_code: i64,
    message: String,
}

impl Entry {
    pub fn write(&self, time: Timestamp) -> String {
        object! {
            "service": self.service,
            "status_code": self.status_code,
            "message": &self.message,
            "timestamp": clock::iso_secs(time),
        }
        .0
    }
}

/// One request on its way through the shop's services.
pub(crate) fn organic(random: &mut Random) -> Moves<Entry> {
    let order = random.digits(8);
    let entry = |service, status_code, message| Entry { service, status_code, message };
    let (first, second) = match random.below(20) {
        0..9 => {
            let amount = format!("{}.{:02} EUR", random.between(8, 400), random.below(100));
            (
                entry("payment-gateway", 200, format!("payment authorised for order {order}, amount {amount}")),
                entry("order-service", 201, format!("order {order} created with {} items", random.between(1, 7))),
            )
        }
        9..14 => {
            let sku = random.between(1000, 4999);
            (
                entry("catalog-service", 200, format!("GET /products/{sku} served from cache in {} ms", random.between(1, 9))),
                entry("inventory-service", 200, format!("stock of sku {sku} is {}", random.below(300))),
            )
        }
        14..17 => {
            let address = random.pick(ACCESS).address(random);
            let user = format!("customer{}", random.between(10_000, 99_999));
            (
                entry("auth-service", 200, format!("login of {user} from {address} succeeded")),
                entry("profile-service", 200, format!("profile of {user} loaded in {} ms", random.between(4, 60))),
            )
        }
        17 => {
            let user = format!("customer{}", random.between(10_000, 99_999));
            let address = random.pick(ACCESS).address(random);
            (
                entry("auth-service", 401, format!("login of {user} from {address} failed: wrong password")),
                entry("auth-service", 200, format!("login of {user} from {address} succeeded")),
            )
        }
        18 => (
            entry("payment-gateway", 402, format!("payment declined for order {order}: insufficient funds")),
            entry("order-service", 200, format!("order {order} waits for payment")),
        ),
        _ => (
            entry("shipping-service", 503, format!("carrier API timed out after 3000 ms for order {order}, will retry")),
            entry("shipping-service", 200, format!("parcel of order {order} handed over on retry 1")),
        ),
    };
    Moves::from([(1_000, first), (random.wait_micros(1.0), second)])
}

/// The attack at this place of [`ATTACKS`].
pub(crate) fn attack(index: usize, random: &mut Random) -> (Moves<Entry>, Entity) {
    let address = address::hostile(random);
    let entity = Entity::new(EntityKind::Ip, address.to_string());
    let mut moves = Moves::new();
    for _ in 0..random.between(15, 30) {
        let entry = if ATTACKS[index].name == "credential_stuffing" {
            let user = format!("customer{}", random.between(10_000, 99_999));
            let (status_code, result) = if random.chance(0.04) { (200, "succeeded") } else { (401, "failed: wrong password") };
            Entry { service: "auth-service", status_code, message: format!("login of {user} from {address} {result}") }
        } else {
            let (order, card) = (random.digits(8), random.digits(4));
            let message = format!("payment declined for order {order}: card ending {card} refused by issuer, client {address}, amount 1.00 EUR");
            Entry { service: "payment-gateway", status_code: 402, message }
        };
        moves.push_back((random.wait_micros(1.5), entry));
    }
    (moves, entity)
}
