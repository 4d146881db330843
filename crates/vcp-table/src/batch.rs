//! Records become record batches.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Fields, SchemaRef};
use vcp_clip::record::{Files, Line, Record, RegionRecord};

use crate::Error;
use crate::schema::{
    Columns, box_fields, file_fields, item, map_fields, region_fields, region_item, schema,
};

/// The largest size of a batch in bytes: Arrow counts the content of a column with 31 bits.
const MOST: usize = 1 << 30;

/// Collects records, and makes record batches of them whose columns [`schema`] names.
#[derive(Debug)]
pub struct RecordBatchBuilder {
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
    path: StringBuilder,
    score: Float32Builder,
    score_threshold: Float32Builder,
    anomalous: BooleanBuilder,
    max: Float32Builder,
    pixel_threshold: Float32Builder,
    regions: Lists<RegionsBuilder>,
    width: Int64Builder,
    height: Int64Builder,
    files: FilesBuilder,
    milliseconds: Float64Builder,
    warnings: Lists<StringBuilder>,
    page: Int64Builder,
    decision: StringBuilder,
    review_threshold: Float32Builder,
    min_area: Int64Builder,
    mask_sha256: StringBuilder,
    references_sha256: StringBuilder,
    error: StringBuilder,
    mask_rle: Option<Lists<Int64Builder>>,
    map: Option<MapsBuilder>,
}

/// What a row has beside its record; of no matter where the table has no such column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Large<'a> {
    /// The mask as lengths of runs ([`run_lengths`](crate::run_lengths)).
    pub mask_rle: Option<&'a [i64]>,
    /// The map.
    pub map: Option<Map<'a>>,
}

/// A map: its values row by row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Map<'a> {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The values, `width` × `height` of them, 0 to 1, or NaN where the photo does not count.
    pub values: &'a [f32],
}

impl RecordBatchBuilder {
    /// For batches with these columns.
    #[must_use]
    pub fn new(columns: Columns) -> Self {
        Self {
            schema: schema(columns),
            rows: 0,
            bytes: 0,
            path: StringBuilder::new(),
            score: Float32Builder::new(),
            score_threshold: Float32Builder::new(),
            anomalous: BooleanBuilder::new(),
            max: Float32Builder::new(),
            pixel_threshold: Float32Builder::new(),
            regions: Lists::default(),
            width: Int64Builder::new(),
            height: Int64Builder::new(),
            files: FilesBuilder::default(),
            milliseconds: Float64Builder::new(),
            warnings: Lists::default(),
            page: Int64Builder::new(),
            decision: StringBuilder::new(),
            review_threshold: Float32Builder::new(),
            min_area: Int64Builder::new(),
            mask_sha256: StringBuilder::new(),
            references_sha256: StringBuilder::new(),
            error: StringBuilder::new(),
            mask_rle: columns.mask_rle.then(Lists::default),
            map: columns.map.then(MapsBuilder::default),
        }
    }

    /// The columns of the batches.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows that the next batch has so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that they take, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row, whose mask and map are null where the table has such columns.
    ///
    /// # Errors
    /// [`Error::BatchFull`]; the builder is as before, and takes the row after [`RecordBatchBuilder::finish`].
    pub fn append(&mut self, line: &Line) -> Result<(), Error> {
        self.append_with(line, Large::default())
    }

    /// Adds a row with its mask and its map.
    ///
    /// # Errors
    /// As [`RecordBatchBuilder::append`], and when the map has another number of values than its sides say.
    pub fn append_with(&mut self, line: &Line, large: Large<'_>) -> Result<(), Error> {
        let (path, page) = match line {
            Line::Done(record) => (&record.path, record.page),
            Line::Failed(failure) => (&failure.path, failure.page),
        };
        if let Some(map) = large.map
            && map.width.checked_mul(map.height) != Some(map.values.len())
        {
            return Err(Error::MapShape {
                path: path.clone(),
                values: map.values.len(),
                width: map.width,
                height: map.height,
            });
        }
        let bytes = size(line).saturating_add(match &self.mask_rle {
            Some(_) => large.mask_rle.map_or(0, size_of_val),
            None => 0,
        });
        let bytes = bytes.saturating_add(match &self.map {
            Some(_) => large.map.map_or(0, |map| size_of_val(map.values)),
            None => 0,
        });
        if self.bytes.saturating_add(bytes) > MOST {
            return Err(Error::BatchFull {
                path: path.clone(),
                bytes,
                held: self.bytes,
                most: MOST,
            });
        }
        self.rows += 1;
        self.bytes += bytes;
        self.path.append_value(path);
        self.page.append_option(page.map(i64::from));
        match line {
            Line::Done(record) => {
                self.append_record(record);
                self.error.append_null();
            }
            Line::Failed(failure) => {
                self.append_nulls();
                self.error.append_value(&failure.error);
            }
        }
        if let Some(lists) = &mut self.mask_rle {
            lists.append(large.mask_rle, |values, counts| {
                values.append_slice(counts);
                counts.len()
            });
        }
        if let Some(maps) = &mut self.map {
            maps.append(large.map);
        }
        Ok(())
    }

    fn append_record(&mut self, record: &Record) {
        self.score.append_value(record.score);
        self.score_threshold.append_value(record.score_threshold);
        self.anomalous.append_value(record.anomalous);
        self.max.append_value(record.max);
        self.pixel_threshold.append_value(record.pixel_threshold);
        self.regions.append(Some(&record.regions), |regions, new| {
            for region in new {
                regions.append(region);
            }
            new.len()
        });
        self.width.append_value(whole(record.width));
        self.height.append_value(whole(record.height));
        self.files.append(Some(&record.files));
        self.milliseconds.append_value(record.milliseconds);
        self.warnings.append(Some(&record.warnings), |texts, new| {
            for text in new {
                texts.append_value(text);
            }
            new.len()
        });
        self.decision.append_value(record.decision.word());
        self.review_threshold.append_option(record.review_threshold);
        self.min_area.append_option(record.min_area.map(whole));
        self.mask_sha256.append_option(record.mask_sha256.as_ref());
        let references = record.references_sha256.as_ref();
        self.references_sha256.append_option(references);
    }

    fn append_nulls(&mut self) {
        self.score.append_null();
        self.score_threshold.append_null();
        self.anomalous.append_null();
        self.max.append_null();
        self.pixel_threshold.append_null();
        self.regions.append(None::<&()>, |_, ()| 0);
        self.width.append_null();
        self.height.append_null();
        self.files.append(None);
        self.milliseconds.append_null();
        self.warnings.append(None::<&()>, |_, ()| 0);
        self.decision.append_null();
        self.review_threshold.append_null();
        self.min_area.append_null();
        self.mask_sha256.append_null();
        self.references_sha256.append_null();
    }

    /// A batch of the rows since the last one; of none, if there are none.
    ///
    /// # Errors
    /// None are expected.
    pub fn finish(&mut self) -> Result<RecordBatch, Error> {
        self.rows = 0;
        self.bytes = 0;
        let regions = &mut self.regions;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.path.finish()),
            Arc::new(self.score.finish()),
            Arc::new(self.score_threshold.finish()),
            Arc::new(self.anomalous.finish()),
            Arc::new(self.max.finish()),
            Arc::new(self.pixel_threshold.finish()),
            regions.finish(region_item(), RegionsBuilder::finish)?,
            Arc::new(self.width.finish()),
            Arc::new(self.height.finish()),
            self.files.finish()?,
            Arc::new(self.milliseconds.finish()),
            self.warnings
                .finish(item(DataType::Utf8), |it| Ok(Arc::new(it.finish())))?,
            Arc::new(self.page.finish()),
            Arc::new(self.decision.finish()),
            Arc::new(self.review_threshold.finish()),
            Arc::new(self.min_area.finish()),
            Arc::new(self.mask_sha256.finish()),
            Arc::new(self.references_sha256.finish()),
            Arc::new(self.error.finish()),
        ];
        if let Some(lists) = &mut self.mask_rle {
            columns.push(lists.finish(item(DataType::Int64), |it| Ok(Arc::new(it.finish())))?);
        }
        if let Some(maps) = &mut self.map {
            columns.push(maps.finish()?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// A whole number as tables have them; none of those here reaches 2⁶³.
fn whole(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Roughly the bytes that a row takes.
fn size(line: &Line) -> usize {
    // The numbers of a row and of a region, and what Arrow keeps for each text beside it.
    const ROW: usize = 160;
    const REGION: usize = 96;
    const TEXT: usize = 4;
    match line {
        Line::Done(record) => {
            let files = texts(&record.files).into_iter().flatten();
            let texts = record.warnings.iter().map(String::as_str).chain(files);
            let texts: usize = texts.map(|text| TEXT + text.len()).sum();
            ROW + record.path.len() + record.regions.len() * REGION + texts
        }
        Line::Failed(failure) => ROW + failure.path.len() + failure.error.len(),
    }
}

/// The files in the order of [`FILES`](crate::schema::FILES).
fn texts(files: &Files) -> [Option<&str>; 7] {
    [
        files.overlay.as_deref(),
        files.heatmap.as_deref(),
        files.mask.as_deref(),
        files.map.as_deref(),
        files.branch1.as_deref(),
        files.branch2.as_deref(),
        files.json.as_deref(),
    ]
}

/// A column of lists.
#[derive(Debug)]
struct Lists<Values> {
    values: Values,
    /// Where each list ends.
    ends: Vec<i32>,
    present: NullBufferBuilder,
}

impl<Values: Default> Default for Lists<Values> {
    fn default() -> Self {
        Self {
            values: Values::default(),
            ends: Vec::new(),
            present: NullBufferBuilder::new(0),
        }
    }
}

impl<Values> Lists<Values> {
    /// Adds a list, to whose values `append` adds so many, or null.
    fn append<T: ?Sized>(
        &mut self,
        list: Option<&T>,
        append: impl FnOnce(&mut Values, &T) -> usize,
    ) {
        let count = list.map_or(0, |list| append(&mut self.values, list));
        // The size of a batch is bounded.
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let end = self.ends.last().copied().unwrap_or(0).saturating_add(count);
        self.ends.push(end);
        self.present.append(list.is_some());
    }

    fn finish(
        &mut self,
        item: FieldRef,
        finish: impl FnOnce(&mut Values) -> Result<ArrayRef, Error>,
    ) -> Result<ArrayRef, Error> {
        let values = finish(&mut self.values)?;
        let mut offsets = vec![0];
        offsets.append(&mut self.ends);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let present = self.present.finish();
        let lists = ListArray::try_new(item, offsets, values, present)?;
        Ok(Arc::new(lists))
    }
}

fn structs(fields: Fields, columns: Vec<ArrayRef>) -> Result<ArrayRef, Error> {
    Ok(Arc::new(StructArray::try_new(fields, columns, None)?))
}

/// The regions of all photos, one after another.
#[derive(Debug, Default)]
struct RegionsBuilder {
    x: Int64Builder,
    y: Int64Builder,
    width: Int64Builder,
    height: Int64Builder,
    area: Int64Builder,
    centroid: Lists<Float64Builder>,
    peak: Float32Builder,
    peak_position: Lists<Int64Builder>,
    mean: Float32Builder,
}

impl RegionsBuilder {
    fn append(&mut self, region: &RegionRecord) {
        let bounds = &region.bounding_box;
        self.x.append_value(whole(bounds.x));
        self.y.append_value(whole(bounds.y));
        self.width.append_value(whole(bounds.width));
        self.height.append_value(whole(bounds.height));
        self.area.append_value(whole(region.area));
        self.centroid.append(Some(&region.centroid), |values, new| {
            values.append_slice(new);
            new.len()
        });
        self.peak.append_value(region.peak);
        let position = region.peak_position.map(whole);
        self.peak_position.append(Some(&position), |values, new| {
            values.append_slice(new);
            new.len()
        });
        self.mean.append_value(region.mean);
    }

    fn finish(&mut self) -> Result<ArrayRef, Error> {
        let bounds = structs(
            box_fields(),
            vec![
                Arc::new(self.x.finish()),
                Arc::new(self.y.finish()),
                Arc::new(self.width.finish()),
                Arc::new(self.height.finish()),
            ],
        )?;
        let (centroid, position) = (&mut self.centroid, &mut self.peak_position);
        structs(
            region_fields(),
            vec![
                bounds,
                Arc::new(self.area.finish()),
                centroid.finish(item(DataType::Float64), |it| Ok(Arc::new(it.finish())))?,
                Arc::new(self.peak.finish()),
                position.finish(item(DataType::Int64), |it| Ok(Arc::new(it.finish())))?,
                Arc::new(self.mean.finish()),
            ],
        )
    }
}

/// The files of each photo.
#[derive(Debug)]
struct FilesBuilder {
    columns: [StringBuilder; 7],
    present: NullBufferBuilder,
}

impl Default for FilesBuilder {
    fn default() -> Self {
        Self {
            columns: std::array::from_fn(|_| StringBuilder::new()),
            present: NullBufferBuilder::new(0),
        }
    }
}

impl FilesBuilder {
    fn append(&mut self, files: Option<&Files>) {
        let texts = files.map(texts).unwrap_or_default();
        for (column, text) in self.columns.iter_mut().zip(texts) {
            column.append_option(text);
        }
        self.present.append(files.is_some());
    }

    fn finish(&mut self) -> Result<ArrayRef, Error> {
        let columns = self.columns.iter_mut();
        let columns = columns.map(|column| Arc::new(column.finish()) as ArrayRef);
        let present = self.present.finish();
        let files = StructArray::try_new(file_fields(), columns.collect(), present)?;
        Ok(Arc::new(files))
    }
}

/// The map of each photo.
#[derive(Debug)]
struct MapsBuilder {
    width: Int64Builder,
    height: Int64Builder,
    values: Lists<Float32Builder>,
    present: NullBufferBuilder,
}

impl Default for MapsBuilder {
    fn default() -> Self {
        Self {
            width: Int64Builder::new(),
            height: Int64Builder::new(),
            values: Lists::default(),
            present: NullBufferBuilder::new(0),
        }
    }
}

impl MapsBuilder {
    fn append(&mut self, map: Option<Map<'_>>) {
        let (width, height, values) = map.map_or((0, 0, &[][..]), |map| {
            (whole(map.width), whole(map.height), map.values)
        });
        self.width.append_value(width);
        self.height.append_value(height);
        self.values.append(Some(values), |all, new| {
            all.append_slice(new);
            new.len()
        });
        self.present.append(map.is_some());
    }

    fn finish(&mut self) -> Result<ArrayRef, Error> {
        let values = &mut self.values;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.width.finish()),
            Arc::new(self.height.finish()),
            values.finish(item(DataType::Float32), |it| Ok(Arc::new(it.finish())))?,
        ];
        let maps = StructArray::try_new(map_fields(), columns, self.present.finish())?;
        Ok(Arc::new(maps))
    }
}
