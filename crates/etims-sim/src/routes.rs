//! The paths of each dialect, in every spelling that was seen to work.

use serde::{Deserialize, Serialize};

use crate::config::Dialect::{self, Gateway, Legacy, Vscu};

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Token,
    Initialise,
    CodeList,
    Sale,
    Lookup,
    SalesList,
    SaveItem,
    StockInOut,
    StockLevel,
    /// Item classes, purchases, branches and notices. Their answers are empty.
    Other,
}

/// Prefixes of KRA's base URLs. A client may be configured with or without one.
const PREFIXES: [&str; 2] = ["/etims-api", "/etims-oscu/api/v1"];

/// What `path` asks for in `dialect`, or `None` if it has no such path.
pub(crate) fn find(dialect: Dialect, path: &str) -> Option<Call> {
    let bare = PREFIXES
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix))
        .unwrap_or(path);
    match dialect {
        Legacy => legacy(bare),
        Gateway => gateway(bare),
        Vscu => vscu(bare),
    }
}

fn legacy(path: &str) -> Option<Call> {
    Some(match path {
        "/selectInitOsdcInfo" => Call::Initialise,
        "/selectCodeList" => Call::CodeList,
        "/saveTrnsSalesOsdc" => Call::Sale,
        "/selectInvoiceDetails" => Call::Lookup,
        "/selectTrnsSalesList" => Call::SalesList,
        "/saveItem" => Call::SaveItem,
        "/insertStockIO" => Call::StockInOut,
        "/saveStockMaster" => Call::StockLevel,
        "/selectItemClsList"
        | "/selectTrnsPurchaseSalesList"
        | "/insertTrnsPurchase"
        | "/selectBhfList"
        | "/selectNoticeList" => Call::Other,
        _ => return None,
    })
}

fn gateway(path: &str) -> Option<Call> {
    Some(match path {
        "/v1/token/generate" | "/token/generate" => Call::Token,
        "/initialize" => Call::Initialise,
        "/selectCodeList" => Call::CodeList,
        "/sendSalesTransaction" | "/saveTrnsSalesOsdc" => Call::Sale,
        "/selectInvoiceDetail" | "/selectInvoiceDetails" => Call::Lookup,
        "/selectSalesTransactions" | "/selectTrnsSalesList" => Call::SalesList,
        "/saveItem" => Call::SaveItem,
        "/insert/stockIO" => Call::StockInOut,
        "/save/stockMaster" => Call::StockLevel,
        "/selectItemClass"
        | "/getPurchaseTransactionInfo"
        | "/sendPurchaseTransactionInfo"
        | "/branchList"
        | "/selectBhfList"
        | "/selectNotices" => Call::Other,
        _ => return None,
    })
}

fn vscu(path: &str) -> Option<Call> {
    Some(match path {
        "/initializer/selectInitInfo" | "/selectInitOsdcInfo" => Call::Initialise,
        "/code/selectCodes" => Call::CodeList,
        "/trnsSales/saveSales" => Call::Sale,
        "/items/saveItems" => Call::SaveItem,
        "/stock/saveStockItems" => Call::StockInOut,
        "/stockMaster/saveStockMaster" => Call::StockLevel,
        "/itemClass/selectItemsClass"
        | "/trnsPurchase/selectTrnsPurchaseSales"
        | "/trnsPurchase/savePurchases"
        | "/branches/selectBranches"
        | "/notices/selectNotices" => Call::Other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_in_both_spellings_with_and_without_base() {
        assert_eq!(
            find(Legacy, "/etims-api/saveTrnsSalesOsdc"),
            Some(Call::Sale)
        );
        assert_eq!(find(Legacy, "/saveTrnsSalesOsdc"), Some(Call::Sale));
        assert_eq!(
            find(Gateway, "/etims-oscu/api/v1/sendSalesTransaction"),
            Some(Call::Sale)
        );
        assert_eq!(
            find(Gateway, "/etims-oscu/api/v1/saveTrnsSalesOsdc"),
            Some(Call::Sale)
        );
        assert_eq!(find(Gateway, "/v1/token/generate"), Some(Call::Token));
        for spelling in ["/selectInvoiceDetail", "/selectInvoiceDetails"] {
            assert_eq!(find(Gateway, spelling), Some(Call::Lookup));
        }
    }

    #[test]
    fn dialect_has_only_its_own_paths() {
        assert_eq!(find(Legacy, "/sendSalesTransaction"), None);
        assert_eq!(find(Legacy, "/v1/token/generate"), None);
        assert_eq!(find(Vscu, "/selectInvoiceDetails"), None);
        assert_eq!(find(Vscu, "/trnsSales/saveSales"), Some(Call::Sale));
        assert_eq!(find(Legacy, "/saveVscu"), None);
    }
}
