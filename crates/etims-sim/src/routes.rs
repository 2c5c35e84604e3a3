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
    ItemClasses,
    Branches,
    Notices,
    SaveCustomer,
    SaveUser,
    SaveInsurance,
    ItemList,
    SaveItem,
    SaveComposition,
    ImportedItems,
    UpdateImportedItem,
    Sale,
    Purchases,
    SavePurchase,
    StockLevel,
    StockMovements,
    StockInOut,
    Lookup,
    SalesList,
    Customers,
    Taxpayer,
    /// The check of a customer's PIN, which the specification has under `/selectCustomer`.
    PinCheck,
    /// A path that the gateway knows and has wired to nothing.
    Unwired,
    /// A call that is answered with success and changes nothing.
    Other,
}

impl Call {
    /// Whether the call only reads, so that a test may have it find nothing.
    pub(crate) fn is_look_up(self) -> bool {
        matches!(
            self,
            Self::CodeList
                | Self::ItemClasses
                | Self::Branches
                | Self::Notices
                | Self::ItemList
                | Self::ImportedItems
                | Self::Purchases
                | Self::StockMovements
                | Self::Lookup
                | Self::SalesList
                | Self::Customers
                | Self::Taxpayer
                | Self::PinCheck
        )
    }

    /// Whether KRA keeps what the call sends.
    pub(crate) fn is_write(self) -> bool {
        matches!(
            self,
            Self::SaveCustomer
                | Self::SaveUser
                | Self::SaveInsurance
                | Self::SaveItem
                | Self::SaveComposition
                | Self::UpdateImportedItem
                | Self::Sale
                | Self::SavePurchase
                | Self::StockLevel
                | Self::StockInOut
        )
    }
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
        "/selectCustomer" => Call::PinCheck,
        _ => return by_legacy_name(path),
    })
}

/// The names of the specification, which legacy and the gateway both know.
fn by_legacy_name(path: &str) -> Option<Call> {
    Some(match path {
        "/selectInitOsdcInfo" => Call::Initialise,
        "/selectCodeList" => Call::CodeList,
        "/selectItemClsList" => Call::ItemClasses,
        "/selectBhfList" => Call::Branches,
        "/selectNoticeList" => Call::Notices,
        "/saveBhfCustomer" => Call::SaveCustomer,
        "/saveBhfUser" => Call::SaveUser,
        "/saveBhfInsurance" => Call::SaveInsurance,
        "/selectItemList" => Call::ItemList,
        "/saveItem" => Call::SaveItem,
        "/saveItemComposition" => Call::SaveComposition,
        "/selectImportItemList" => Call::ImportedItems,
        "/updateImportItem" => Call::UpdateImportedItem,
        "/saveTrnsSalesOsdc" => Call::Sale,
        "/selectTrnsPurchaseSalesList" => Call::Purchases,
        "/insertTrnsPurchase" => Call::SavePurchase,
        "/saveStockMaster" => Call::StockLevel,
        "/selectStockMoveList" => Call::StockMovements,
        "/insertStockIO" => Call::StockInOut,
        "/selectInvoiceDetails" => Call::Lookup,
        "/selectTrnsSalesList" => Call::SalesList,
        "/selectCustomerList" => Call::Customers,
        "/selectTaxPayerInfo" => Call::Taxpayer,
        _ => return None,
    })
}

/// The names of KRA's Postman collection, beside those of the specification.
fn gateway(path: &str) -> Option<Call> {
    Some(match path {
        "/v1/token/generate" | "/token/generate" => Call::Token,
        "/initialize" => Call::Initialise,
        "/selectItemClass" => Call::ItemClasses,
        "/branchList" => Call::Branches,
        "/selectNotices" => Call::Notices,
        "/branchSendCustomerInfo" => Call::SaveCustomer,
        "/branchUserAccount" => Call::SaveUser,
        "/branchInsuranceInfo" => Call::SaveInsurance,
        "/itemInfo" => Call::ItemList,
        "/importedItemInfo" => Call::ImportedItems,
        "/sendSalesTransaction" => Call::Sale,
        "/getPurchaseTransactionInfo" => Call::Purchases,
        "/sendPurchaseTransactionInfo" => Call::SavePurchase,
        "/save/stockMaster" => Call::StockLevel,
        "/selectStockMoveLists" => Call::StockMovements,
        "/insert/stockIO" => Call::StockInOut,
        "/selectInvoiceDetail" => Call::Lookup,
        "/selectSalesTransactions" => Call::SalesList,
        "/selectTaxpayerInfo" => Call::Taxpayer,
        // Seen live: success, no change, and no tick for the update of imported items.
        "/importedItemConvertedInfo" => Call::Other,
        "/selectCustomer" | "/saveCustomer" | "/saveSupplier" | "/selectInvoiceType" => {
            Call::Unwired
        }
        _ => return by_legacy_name(path),
    })
}

/// The names of KRA's Java unit. Those of branches, items and imports are the Zambian sibling's.
fn vscu(path: &str) -> Option<Call> {
    Some(match path {
        "/initializer/selectInitInfo" | "/selectInitOsdcInfo" => Call::Initialise,
        "/code/selectCodes" => Call::CodeList,
        "/itemClass/selectItemsClass" => Call::ItemClasses,
        "/branches/selectBranches" => Call::Branches,
        "/notices/selectNotices" => Call::Notices,
        "/branches/saveBrancheCustomers" => Call::SaveCustomer,
        "/branches/saveBrancheUsers" | "/branches/saveBrancheUser" => Call::SaveUser,
        "/branches/saveBrancheInsurances" => Call::SaveInsurance,
        "/items/selectItems" => Call::ItemList,
        "/items/saveItems" => Call::SaveItem,
        "/items/saveItemComposition" => Call::SaveComposition,
        "/imports/selectImportItems" => Call::ImportedItems,
        "/imports/updateImportItems" => Call::UpdateImportedItem,
        "/trnsSales/saveSales" => Call::Sale,
        "/trnsPurchase/selectTrnsPurchaseSales" => Call::Purchases,
        "/trnsPurchase/savePurchases" => Call::SavePurchase,
        "/stockMaster/saveStockMaster" => Call::StockLevel,
        "/stock/selectStockItems" => Call::StockMovements,
        "/stock/saveStockItems" => Call::StockInOut,
        "/customers/selectCustomer" => Call::Customers,
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
        assert_eq!(find(Legacy, "/branchList"), None);
        assert_eq!(find(Gateway, "/selectCustomer"), Some(Call::Unwired));
        assert_eq!(find(Legacy, "/selectCustomer"), Some(Call::PinCheck));
    }
}
