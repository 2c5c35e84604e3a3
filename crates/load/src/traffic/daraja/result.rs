//! Results of reversals and payouts.

use jiff::SignedDuration;
use rust_decimal::Decimal;
use serde_json::json;

use super::Mpesa;
use crate::draw::Draw;
use crate::traffic::formats;
use crate::traffic::message::{Message, Report, key};

impl Mpesa<'_> {
    pub(crate) fn reversal(&self, draw: &mut Draw, amount: Decimal) -> Message {
        let conversation = format!(
            "AG_{}_2010{:0>16}",
            &formats::nairobi(self.at)[..8],
            self.receipt.to_lowercase()
        );
        let body = format!(
            r#"{{"Result":{{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"71840-{conversation}","ConversationID":"{conversation}","TransactionID":"UIS7{:06}","ResultParameters":{{"ResultParameter":[{{"Key":"DebitAccountBalance","Value":"Utility Account|KES|51661.00|51661.00|0.00|0.00"}},{{"Key":"Amount","Value":{}}},{{"Key":"TransCompletedTime","Value":{}}},{{"Key":"OriginalTransactionID","Value":"{}"}},{{"Key":"Charge","Value":0.00}}]}},"ReferenceData":{{"ReferenceItem":{{"Key":"QueueTimeoutURL","Value":"https://internalapi.example.com/queue/v1/submit"}}}}}}}}"#,
            draw.number(0..=999_999),
            formats::amount(draw, amount),
            formats::nairobi(self.at + SignedDuration::from_secs(60)),
            self.receipt,
        );
        let delivery_key = key(&["reversal_result", &conversation]);
        self.message(
            "result",
            body,
            "reversal_result",
            delivery_key,
            Report::Returned(amount),
        )
    }
}

/// Payouts. Money that a merchant pays out is no sale, whatever the result.
impl Mpesa<'_> {
    fn conversation(&self) -> String {
        format!(
            "AG_{}_2020{:0>16}",
            &formats::nairobi(self.at)[..8],
            self.receipt.to_lowercase()
        )
    }

    pub(crate) fn payout(&self, draw: &mut Draw) -> Message {
        let conversation = self.conversation();
        let body = format!(
            r#"{{"Result":{{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"{conversation}-o","ConversationID":"{conversation}","TransactionID":"{receipt}","ResultParameters":{{"ResultParameter":[{{"Key":"TransactionAmount","Value":{}}},{{"Key":"TransactionReceipt","Value":"{receipt}"}},{{"Key":"ReceiverPartyPublicName","Value":"{} - TEST PAYEE"}},{{"Key":"B2CChargesPaidAccountAvailableFunds","Value":-4510.00}}]}}}}}}"#,
            formats::amount(draw, self.amount),
            self.phone,
            receipt = self.receipt,
        );
        self.message(
            "result",
            body,
            "b2c_result",
            key(&["b2c_result", &conversation]),
            Report::Nothing,
        )
    }

    pub(crate) fn payout_failure(&self) -> Message {
        let conversation = self.conversation();
        let body = format!(
            r#"{{"Result":{{"ResultType":0,"ResultCode":2001,"ResultDesc":"The initiator information is invalid.","OriginatorConversationID":"{conversation}-o","ConversationID":"{conversation}","TransactionID":"SKE0000000"}}}}"#
        );
        self.message(
            "result",
            body,
            "other_result",
            key(&["other_result", &conversation]),
            Report::Nothing,
        )
    }

    /// Daraja returns the whole request, with its credentials.
    pub(crate) fn payout_timeout(&self, draw: &mut Draw) -> Message {
        let originator = format!("{}-o", self.conversation());
        let body = json!({
            "OriginatorConversationID": originator,
            "InitiatorName": "testapi",
            "SecurityCredential": draw.hex(64),
            "CommandID": "BusinessPayment",
            "Amount": formats::amount(draw, self.amount),
            "PartyA": 600_000,
            "PartyB": self.phone,
            "Remarks": "payout",
        });
        let delivery_key = key(&["timeout", &originator]);
        self.message(
            "timeout",
            body.to_string(),
            "queue_timeout",
            delivery_key,
            Report::Nothing,
        )
    }
}
