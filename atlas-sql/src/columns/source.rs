//! Where the values of a column come from.

use crate::cut::Cut;
use crate::tensor::Reduction;
use arrow::datatypes::DataType;
use std::borrow::Cow;

/// Where the values of a column come from. Families and attributes are positions in the [`super::View`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// The dataset's name.
    Dataset,
    /// An attribute.
    Attribute(usize),
    /// A stored statistic of an array.
    Statistic(usize, Statistic),
    /// The declared shape of an array.
    Shape(usize),
    /// The declared shape of the chunks of an array.
    ChunkShape(usize),
    /// The declared dimensions of an array.
    Dims(usize),
    /// The dtype of an array.
    Dtype(usize),
    /// All of an array.
    Array(usize),
    /// A part of an array.
    Slice(usize, Cut),
    /// One cell of an array.
    Element(usize, Cut),
    /// A number of the cells of an array, or of a part of it.
    Reduction(usize, Option<Cut>, Reduction),
    /// A column of the `arrays` table, whose rows are arrays and not datasets.
    Entry(EntryField),
}

/// A column of the `arrays` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EntryField {
    Dataset,
    Array,
    Dtype,
    Dims,
    Shape,
    ChunkShape,
    FillValue,
    Codec,
    Min,
    Max,
    MinText,
    MaxText,
    Mean,
    NullCount,
    RowCount,
    ChunkCount,
    StoredBytes,
    RawBytes,
}

impl EntryField {
    /// Every column, in the order of the table.
    pub(crate) const ALL: [(EntryField, &'static str); 18] = [
        (EntryField::Dataset, "dataset"),
        (EntryField::Array, "array"),
        (EntryField::Dtype, "dtype"),
        (EntryField::Dims, "dims"),
        (EntryField::Shape, "shape"),
        (EntryField::ChunkShape, "chunk_shape"),
        (EntryField::FillValue, "fill_value"),
        (EntryField::Codec, "codec"),
        (EntryField::Min, "min"),
        (EntryField::Max, "max"),
        (EntryField::MinText, "min_text"),
        (EntryField::MaxText, "max_text"),
        (EntryField::Mean, "mean"),
        (EntryField::NullCount, "null_count"),
        (EntryField::RowCount, "row_count"),
        (EntryField::ChunkCount, "chunk_count"),
        (EntryField::StoredBytes, "stored_bytes"),
        (EntryField::RawBytes, "raw_bytes"),
    ];
}

/// A statistic of an array, as SQL names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Statistic {
    Min,
    Max,
    Mean,
    Sum,
    NullCount,
    RowCount,
}

impl Statistic {
    pub(crate) const ALL: [Statistic; 6] =
        [Self::Min, Self::Max, Self::Mean, Self::Sum, Self::NullCount, Self::RowCount];

    /// The function's name.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Statistic::Min => "stat_min",
            Statistic::Max => "stat_max",
            Statistic::Mean => "stat_mean",
            Statistic::Sum => "stat_sum",
            Statistic::NullCount => "stat_null_count",
            Statistic::RowCount => "stat_row_count",
        }
    }

    /// The type of this statistic of cells of type `cell`; `None` where such cells have none.
    pub(crate) fn data_type(self, cell: &DataType) -> Option<DataType> {
        match self {
            Statistic::Min | Statistic::Max => Some(cell.clone()),
            Statistic::NullCount | Statistic::RowCount => Some(DataType::Int64),
            Statistic::Mean => (cell.is_numeric() || *cell == DataType::Boolean).then_some(DataType::Float64),
            Statistic::Sum if cell.is_floating() => Some(DataType::Float64),
            Statistic::Sum => (cell.is_integer() || *cell == DataType::Boolean).then_some(DataType::Int64),
        }
    }
}

impl Source {
    /// Whether the values come from the catalog alone.
    pub(crate) fn is_catalog(&self) -> bool {
        match self {
            Source::Array(_) | Source::Slice(..) | Source::Element(..) | Source::Reduction(..) => false,
            Source::Entry(field) => !matches!(field, EntryField::Codec | EntryField::StoredBytes),
            _ => true,
        }
    }

    /// The array family that the values come from, if it is one for all rows.
    pub(crate) fn family(&self) -> Option<usize> {
        match self {
            Source::Statistic(family, _)
            | Source::Shape(family)
            | Source::ChunkShape(family)
            | Source::Dims(family)
            | Source::Dtype(family)
            | Source::Array(family)
            | Source::Slice(family, _)
            | Source::Element(family, _)
            | Source::Reduction(family, ..) => Some(*family),
            Source::Dataset | Source::Attribute(_) | Source::Entry(_) => None,
        }
    }

    /// The source whose cells are read for this one: what a reduction reduces, and else itself.
    pub(crate) fn cells(&self) -> Cow<'_, Source> {
        match self {
            Source::Reduction(family, None, _) => Cow::Owned(Source::Array(*family)),
            Source::Reduction(family, Some(cut), _) => Cow::Owned(Source::Slice(*family, cut.clone())),
            _ => Cow::Borrowed(self),
        }
    }

    /// The part of the array that is read; `None` is all of it, or nothing.
    pub(crate) fn cut(&self) -> Option<&Cut> {
        match self {
            Source::Slice(_, cut) | Source::Element(_, cut) | Source::Reduction(_, Some(cut), _) => Some(cut),
            _ => None,
        }
    }
}
