//! The model's operations on the CPU: each finds its kernel.

use super::{Cpu, Depthwise, Linear, Matrix, Norm, Tensor, elements, finish};
use crate::attention;
use crate::depthwise::{self, Kernels};
use crate::elementwise::{self, Function};
use crate::finish::Finish;
use crate::pack::narrow::Activations;
use crate::patches;
use crate::product::{
    Form, HEAD, Layout, MOST_INPUTS, NarrowMatrix, Numbers, PackedMatrix, Rows, Storage,
};
use crate::resize;
use crate::small::{self, Matrices};
use crate::standardise;
use crate::units::{AttentionUnit, NarrowUnit};
use std::ops::Range;
use std::sync::Arc;
use vcp_checkpoint::{ElementType, Tensor as Stored};
use vcp_model::{Activation, After, DeviceError, Operations, Orientation, Resampling, Windows};

/// Most rows that a perceptron works on at a time: about as many as stay in a cache, so that weights are read no more
/// often than they are anyway.
const PERCEPTRON_ROWS: usize = 700;

/// Operations and name of a product of two tensors.
fn small_product(a: &Matrices<'_>, inputs: usize, outputs: usize, batch: usize) -> (usize, String) {
    let rows = a.rows * a.batch.max(batch);
    (
        2 * rows * inputs * outputs,
        format!("small product {rows}x{inputs}x{outputs}"),
    )
}

fn row(x: &Tensor, batch: usize, row: usize) -> &[f32] {
    let [_, rows, channels] = x.shape;
    &x.values[(batch * rows + row) * channels..][..channels]
}

/// Of tensors that an operation takes together, each has a batch of 1 or that of the others.
fn assert_goes_with(own: usize, batch: usize) {
    assert!(
        own == 1 || own == batch,
        "a batch of 1 or {batch}, not {own}"
    );
}

/// Height and width of maps of so many pixels.
fn map_size(pixels: usize, width: usize) -> [usize; 2] {
    assert!(
        width > 0 && pixels.is_multiple_of(width),
        "whole rows of pixels"
    );
    [pixels / width, width]
}

/// A stored matrix, the rows of which are those of the layer.
struct StoredRows<'a>(&'a Stored<'a>);

impl Rows for StoredRows<'_> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        self.0.read_rows(rows, out);
    }

    fn storage(&self) -> Storage<'_> {
        match (self.0.element_type(), self.0.scales()) {
            (_, Some(scales)) => Storage::Codes(scales),
            (ElementType::F16, None) => Storage::Half,
            _ => Storage::Single,
        }
    }

    fn codes(&self, rows: Range<usize>, out: &mut [i8]) {
        // There are codes where there are scales.
        let _ = self.0.codes(rows, out);
    }
}

/// A stored matrix, the columns of which are the rows of the layer.
struct StoredColumns {
    values: Vec<f32>,
    columns: usize,
    half: bool,
}

impl Rows for StoredColumns {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let inputs = self.values.len() / self.columns.max(1);
        for (output, line) in rows.zip(out.chunks_exact_mut(inputs.max(1))) {
            for (input, value) in line.iter_mut().enumerate() {
                *value = self.values[input * self.columns + output];
            }
        }
    }

    fn storage(&self) -> Storage<'_> {
        if self.half {
            Storage::Half
        } else {
            Storage::Single
        }
    }

    fn codes(&self, _rows: Range<usize>, _out: &mut [i8]) {}
}

impl Cpu {
    fn layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
        unit: Option<NarrowUnit>,
    ) -> Linear {
        let [rows, columns] = [weight.shape()[0], weight.shape()[1..].iter().product()];
        let bias = bias.map(Stored::to_f32);
        match orientation {
            Orientation::OutputsInputs => {
                self.pack([rows, columns], bias.as_deref(), &StoredRows(weight), unit)
            }
            Orientation::InputsOutputs => {
                let source = StoredColumns {
                    values: weight.to_f32(),
                    columns,
                    half: weight.element_type() == ElementType::F16,
                };
                self.pack([columns, rows], bias.as_deref(), &source, unit)
            }
        }
    }

    /// A layer of [outputs, inputs], narrow if there is a unit for that and sums of whole numbers fit.
    fn pack(
        &self,
        sizes: [usize; 2],
        bias: Option<&[f32]>,
        rows: &impl Rows,
        unit: Option<NarrowUnit>,
    ) -> Linear {
        let unit = unit.filter(|_| sizes[1] <= MOST_INPUTS);
        let matrix = self.run(|| match unit {
            None => Matrix::Exact(PackedMatrix::pack(self.instruction_set, sizes, bias, rows)),
            Some(unit) => Matrix::Narrow(NarrowMatrix::pack(unit, sizes, bias, rows)),
        });
        Linear { matrix }
    }
}

impl Operations for Cpu {
    type Tensor = Tensor;
    type Linear = Linear;
    type Norm = Norm;
    type Depthwise = Depthwise;

    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        Cpu::run(self, work)
    }

    fn batch(&self, x: &Tensor) -> usize {
        x.shape[0]
    }

    fn rows(&self, x: &Tensor) -> usize {
        x.shape[1]
    }

    fn channels(&self, x: &Tensor) -> usize {
        x.shape[2]
    }

    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Result<Tensor, DeviceError> {
        Ok(self.tensor(shape, values))
    }

    fn values(&self, x: &Tensor) -> Result<Vec<f32>, DeviceError> {
        Ok(x.values.to_vec())
    }

    fn parameter(&self, stored: &Stored<'_>, shape: [usize; 3]) -> Result<Tensor, DeviceError> {
        Ok(self.tensor(shape, &stored.to_f32()))
    }

    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Result<Linear, DeviceError> {
        Ok(self.layer(weight, bias, orientation, None))
    }

    fn narrow_linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Result<Linear, DeviceError> {
        Ok(self.layer(weight, bias, orientation, self.narrow.products))
    }

    fn norm_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        epsilon: f32,
    ) -> Result<Norm, DeviceError> {
        let name = weight.name().to_owned();
        let (weight, bias) = (weight.to_f32(), bias.to_f32());
        assert_eq!(weight.len(), bias.len(), "a weight and a bias per channel");
        Ok(Norm {
            name,
            weight,
            bias,
            epsilon,
        })
    }

    fn depthwise_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        stride: usize,
    ) -> Result<Depthwise, DeviceError> {
        let (shape, side) = (weight.shape(), weight.shape().last().copied().unwrap_or(0));
        let bias = bias.to_f32();
        assert_eq!(
            shape,
            [bias.len(), 1, side, side],
            "a kernel for each channel"
        );
        assert!((1..=side).contains(&stride), "windows that leave no gaps");
        let kernels = Kernels::pack(&weight.to_f32(), &bias, Windows { side, stride });
        Ok(Depthwise { kernels })
    }

    fn linear(&self, x: &Tensor, layer: &Linear, after: After<'_, Tensor>) -> Tensor {
        let out = self.multiply(x, None, layer, after, Form::ROWS);
        Tensor::new([x.shape[0], x.shape[1], layer.outputs()], out)
    }

    fn layer_norm(&self, x: &Tensor, norm: &Norm) -> Tensor {
        assert_eq!(x.shape[2], norm.weight.len(), "channels as the norm has");
        let mut out = self.pool.take(x.values.len());
        self.timed(
            0,
            || "layer norm".to_owned(),
            || {
                elementwise::layer_norm(
                    self.instruction_set,
                    &x.values,
                    &mut out,
                    norm.normalise(),
                );
            },
        );
        Tensor::new(x.shape, out)
    }

    fn norm_linear(
        &self,
        x: &Tensor,
        norm: &Norm,
        layer: &Linear,
        after: After<'_, Tensor>,
    ) -> Tensor {
        let out = self.multiply(x, Some(norm), layer, after, Form::ROWS);
        Tensor::new([x.shape[0], x.shape[1], layer.outputs()], out)
    }

    fn attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        heads: usize,
        causal: bool,
    ) -> Tensor {
        let [batch, rows, width] = query.shape;
        assert_eq!(key.shape, value.shape, "a value for each key");
        assert_eq!(
            [key.shape[0], key.shape[2]],
            [batch, width],
            "keys as queries"
        );
        assert!(width.is_multiple_of(heads), "heads of one width");
        assert!(!causal || rows <= key.shape[1], "a key for each query");
        let mut out = self.pool.take(query.values.len());
        attention::plain(
            query.matrices(),
            key.matrices(),
            value.matrices(),
            heads,
            causal,
            &mut out,
        );
        Tensor::new(query.shape, out)
    }

    /// Some rows at a time: what lies between the two layers is four times as wide as x.
    fn norm_perceptron(
        &self,
        x: &Tensor,
        norm: &Norm,
        expand: &Linear,
        activation: Activation,
        contract: &Linear,
    ) -> Tensor {
        let [batch, rows, width] = x.shape;
        let count = batch * rows;
        let parts = count.div_ceil(PERCEPTRON_ROWS).max(1);
        assert_eq!(width, expand.inputs(), "channels as the layer has inputs");
        assert_eq!(
            expand.outputs(),
            contract.inputs(),
            "one layer behind the other"
        );
        assert_eq!(contract.outputs(), width, "back to the width");
        let is_narrow = matches!(contract.matrix, Matrix::Narrow(_));
        let form = Form {
            numbers: if is_narrow {
                Numbers::Bf16
            } else {
                Numbers::F32
            },
            ..Form::ROWS
        };
        let mut out = self.pool.take(x.values.len());
        for part in 0..parts {
            let [first, end] = [part, part + 1].map(|part| count * part / parts * width);
            let rows = &x.values[first..end];
            let finish = Finish::Activate(activation);
            let hidden = self.product(Activations::F32(rows), Some(norm), expand, finish, form);
            let hidden = match form.numbers {
                Numbers::F32 => Activations::F32(&hidden),
                Numbers::Bf16 => {
                    Activations::Bf16(hidden.halves(rows.len() / width * expand.outputs()))
                }
            };
            let (finish, out) = (Finish::Add(rows), &mut out[first..end]);
            self.product_into(hidden, None, contract, finish, Form::ROWS, out);
        }
        Tensor::new(x.shape, out)
    }

    fn norm_self_attention(
        &self,
        x: &Tensor,
        norm: &Norm,
        query_key_value: &Linear,
        heads: usize,
    ) -> Tensor {
        let [batch, rows, width] = x.shape;
        assert_eq!(
            width,
            heads * HEAD,
            "CLIP's heads are 64 wide; the weights were checked"
        );
        assert_eq!(
            query_key_value.outputs(),
            3 * width,
            "queries, keys and values as wide as the input"
        );
        let unit = match query_key_value.matrix {
            Matrix::Exact(_) => None,
            Matrix::Narrow(_) => self.narrow.attention,
        };
        let form = Form {
            layout: Layout::Heads {
                rows_per_image: rows,
                query_scale: attention::SCALE,
            },
            numbers: unit.map_or(Numbers::F32, |_| Numbers::Bf16),
        };
        let projected = self.multiply(x, Some(norm), query_key_value, After::Nothing, form);
        let name = || {
            let narrow = unit.map_or("", AttentionUnit::precision);
            format!("{narrow}attention of {rows} rows, {heads} heads")
        };
        let out = self.timed(4 * batch * rows * rows * width, name, || {
            attention::self_attention(
                self.instruction_set,
                unit,
                &self.pool,
                projected.words(),
                [batch, heads, rows],
            )
        });
        Tensor::new(x.shape, out)
    }

    fn l2_normalise(&self, x: &Tensor) -> Tensor {
        let mut out = self.pool.take(x.values.len());
        self.timed(
            0,
            || "l2 norm".to_owned(),
            || {
                elementwise::l2_normalise(self.instruction_set, &x.values, &mut out, x.shape[2]);
            },
        );
        Tensor::new(x.shape, out)
    }

    fn softmax(&self, x: &Tensor) -> Tensor {
        let mut out = self.pool.take(x.values.len());
        out.copy_from_slice(&x.values);
        self.timed(
            0,
            || "softmax".to_owned(),
            || elementwise::softmax(self.instruction_set, &mut out, x.shape[2]),
        );
        Tensor::new(x.shape, out)
    }

    fn matmul(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let (a, b) = (a.matrices(), b.matrices());
        assert_eq!(a.columns, b.rows, "as many rows as there are factors");
        assert_goes_with(a.batch.min(b.batch), a.batch.max(b.batch));
        let (operations, name) = small_product(&a, a.columns, b.columns, b.batch);
        let out = self.timed(
            operations,
            || name,
            || small::plain(self.instruction_set, &self.pool, a, b),
        );
        Tensor::new([a.batch.max(b.batch), a.rows, b.columns], out)
    }

    fn matmul_transposed(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let (a, b) = (a.matrices(), b.matrices());
        assert_eq!(a.columns, b.columns, "rows of one length");
        assert_goes_with(a.batch.min(b.batch), a.batch.max(b.batch));
        let (operations, name) = small_product(&a, a.columns, b.rows, b.batch);
        let out = self.timed(
            operations,
            || name,
            || small::transposed(self.instruction_set, &self.pool, a, b),
        );
        Tensor::new([a.batch.max(b.batch), a.rows, b.rows], out)
    }

    fn add(&self, x: &Tensor, y: &Tensor) -> Tensor {
        self.elementwise(x, y, |x, y| x + y)
    }

    fn multiply(&self, x: &Tensor, y: &Tensor) -> Tensor {
        self.elementwise(x, y, |x, y| x * y)
    }

    fn exp(&self, x: &Tensor) -> Tensor {
        self.map(x, Function::Exp)
    }

    fn sigmoid(&self, x: &Tensor) -> Tensor {
        self.map(x, Function::Sigmoid)
    }

    fn mean(&self, tensors: &[Tensor]) -> Tensor {
        let mut out = self.pool.take_zeroed(tensors[0].values.len());
        for tensor in tensors {
            assert_eq!(tensor.shape, tensors[0].shape, "tensors of one shape");
            for (sum, value) in out.iter_mut().zip(tensor.as_slice()) {
                *sum += value;
            }
        }
        let factor = 1.0 / tensors.len() as f32;
        for sum in out.iter_mut() {
            *sum *= factor;
        }
        Tensor::new(tensors[0].shape, out)
    }

    fn concatenate_rows(&self, parts: &[&Tensor]) -> Tensor {
        let batch = parts.iter().map(|part| part.shape[0]).max().unwrap_or(0);
        let rows = parts.iter().map(|part| part.shape[1]).sum();
        let places: Vec<(&Tensor, usize)> = parts
            .iter()
            .flat_map(|part| (0..part.shape[1]).map(|row| (*part, row)))
            .collect();
        let channels = parts[0].shape[2];
        for part in parts {
            assert_goes_with(part.shape[0], batch);
            assert_eq!(part.shape[2], channels, "channels of all parts");
        }
        self.gather([batch, rows, channels], |b, r| {
            let (part, r) = places[r];
            row(part, b % part.shape[0], r)
        })
    }

    fn slice_rows(&self, x: &Tensor, start: usize, count: usize) -> Tensor {
        self.gather([x.shape[0], count, x.shape[2]], |b, r| row(x, b, start + r))
    }

    fn slice_channels(&self, x: &Tensor, start: usize, count: usize) -> Tensor {
        let shape = [x.shape[0], x.shape[1], count];
        self.gather(shape, |b, r| &row(x, b, r)[start..start + count])
    }

    fn pad_channels(&self, x: &Tensor, before: usize, after: usize) -> Tensor {
        let [batch, rows, channels] = x.shape;
        let width = before + channels + after;
        let mut out = self.pool.take_zeroed(batch * rows * width);
        let lines = x.values.chunks_exact(channels.max(1));
        for (line, to) in lines.zip(out.chunks_exact_mut(width.max(1))) {
            to[before..before + channels].copy_from_slice(line);
        }
        Tensor::new([batch, rows, width], out)
    }

    fn repeat_batch_as(&self, x: &Tensor, like: &Tensor) -> Tensor {
        let [batch, rows, channels] = x.shape;
        if [1, batch].contains(&like.shape[0]) {
            return x.clone();
        }
        let repeated = like.shape[0];
        assert!(repeated.is_multiple_of(batch), "whole repetitions");
        self.gather([repeated, rows, channels], |b, r| row(x, b % batch, r))
    }

    fn repeat_each(&self, x: &Tensor, times: usize) -> Tensor {
        let [batch, rows, channels] = x.shape;
        self.gather([batch * times, rows, channels], |b, r| row(x, b / times, r))
    }

    fn reshape(&self, x: &Tensor, rows: usize, channels: usize) -> Tensor {
        let size = (rows * channels).max(1);
        assert!(x.values.len().is_multiple_of(size), "a whole batch");
        Tensor {
            shape: [x.values.len() / size, rows, channels],
            values: Arc::clone(&x.values),
        }
    }

    fn patches(&self, images: &Tensor, width: usize, windows: Windows) -> Tensor {
        let [batch, channels, _] = images.shape;
        let map = map_size(images.shape[2], width);
        let Windows { side, stride } = windows;
        assert!((1..=side).contains(&stride), "windows that leave no gaps");
        let [down, across] = map.map(|length| windows.along(length));
        let shape = [batch, down * across, channels * side * side];
        let mut out = self.pool.take(elements(shape));
        self.timed(
            0,
            || format!("patches {side}x{side}, stride {stride}"),
            || {
                let [height, width] = map;
                patches::patches(&images.values, [channels, height, width], windows, &mut out);
            },
        );
        Tensor::new(shape, out)
    }

    fn depthwise_convolution(
        &self,
        x: &Tensor,
        width: usize,
        layer: &Depthwise,
        after: After<'_, Tensor>,
    ) -> Tensor {
        let kernels = &layer.kernels;
        let (map, Windows { side, stride }) = (map_size(x.shape[1], width), kernels.windows);
        assert_eq!(x.shape[2], kernels.channels, "channels as the layer has");
        let [down, across] = map.map(|length| kernels.windows.along(length));
        let shape = [x.shape[0], down * across, kernels.channels];
        let finish = finish(after, shape);
        let name = || {
            let [_, rows, channels] = shape;
            let then = finish.name();
            format!("depthwise {rows}x{channels}, {side}x{side}, stride {stride}{then}")
        };
        let out = self.timed(2 * elements(shape) * side * side, name, || {
            depthwise::convolve(
                self.instruction_set,
                &self.pool,
                &x.values,
                map,
                kernels,
                finish,
            )
        });
        Tensor::new(shape, out)
    }

    fn standardise(&self, x: &Tensor, epsilon: f32) -> Tensor {
        let [_, rows, channels] = x.shape;
        let mut out = self.pool.take(x.values.len());
        self.timed(
            0,
            || "standardise".to_owned(),
            || {
                let sizes = [rows, channels];
                standardise::standardise(self.instruction_set, &x.values, &mut out, sizes, epsilon);
            },
        );
        Tensor::new(x.shape, out)
    }

    fn resize(&self, maps: &Tensor, resampling: &Resampling) -> Tensor {
        let to = resampling.to();
        let out = self.timed(
            0,
            || "resize".to_owned(),
            || resize::resize(&self.pool, &maps.values, resampling),
        );
        Tensor::new([maps.shape[0], to, to], out)
    }
}
