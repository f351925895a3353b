//! One body for the cells of every number type.

/// Runs `$body` with `$cells` bound to the vector (or reference to it) inside of `$value`, or `$var` for byte strings.
macro_rules! each_number {
    ($value:expr, $cells:ident => $body:expr, var => $var:expr) => {
        match $value {
            ::atlas_store::Cells::I8($cells) => $body,
            ::atlas_store::Cells::I16($cells) => $body,
            ::atlas_store::Cells::I32($cells) => $body,
            ::atlas_store::Cells::I64($cells) => $body,
            ::atlas_store::Cells::U8($cells) => $body,
            ::atlas_store::Cells::U16($cells) => $body,
            ::atlas_store::Cells::U32($cells) => $body,
            ::atlas_store::Cells::U64($cells) => $body,
            ::atlas_store::Cells::F32($cells) => $body,
            ::atlas_store::Cells::F64($cells) => $body,
            ::atlas_store::Cells::Var(_) => $var,
        }
    };
}
