//! The model's operations on the CPU.

use crate::attention;
use crate::buffer::{Buffer, Pool};
use crate::elementwise::{self, Function};
use crate::pack::Normalise;
use crate::product::{self, Finish, HEAD, Layout, PackedMatrix};
use crate::record::{Record, Timing};
use crate::resize;
use crate::simd::InstructionSet;
use crate::small::{self, Matrices};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::num::NonZero;
use std::sync::Arc;
use vcp_checkpoint::{ElementType, Tensor as Stored};
use vcp_model::{After, Operations, Orientation, Resampling};

/// The CPU as a device: an instruction set, threads, and memory that is used again.
pub struct Cpu {
    instruction_set: InstructionSet,
    pool: Arc<Pool>,
    threads: ThreadPool,
    record: Record,
}

/// Most worker threads of a device. No machine has that many cores, and asking the operating
/// system for a million would only take it down.
const MOST_THREADS: usize = 1024;

/// The threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{count} worker threads could not be started: {source}")]
pub struct ThreadsError {
    count: usize,
    source: Refusal,
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there can be at most {MOST_THREADS}")]
    TooMany,
    #[error(transparent)]
    System(#[from] rayon::ThreadPoolBuildError),
}

/// A tensor [batch, rows, channels] in memory.
#[derive(Clone)]
pub struct Tensor {
    shape: [usize; 3],
    values: Arc<Buffer>,
}

impl Tensor {
    /// The kernels rely on a tensor having the size that its shape says.
    fn new(shape: [usize; 3], values: Buffer) -> Self {
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "as many values as the shape says"
        );
        Self {
            shape,
            values: Arc::new(values),
        }
    }

    /// The values in row-major order.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    fn matrices(&self) -> Matrices<'_> {
        let [batch, rows, columns] = self.shape;
        Matrices {
            values: &self.values,
            batch,
            rows,
            columns,
        }
    }
}

/// A linear layer with its weights in panels.
pub struct Linear {
    matrix: PackedMatrix,
}

/// A layer norm.
pub struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    fn normalise(&self) -> Normalise<'_> {
        Normalise {
            weight: &self.weight,
            bias: &self.bias,
            epsilon: self.epsilon,
        }
    }
}

impl Cpu {
    /// The best instruction set of this machine on `threads` threads (all cores if none are
    /// named).
    ///
    /// # Errors
    /// When the operating system refuses the threads, or there are more than 1024.
    pub fn new(threads: Option<NonZero<usize>>) -> Result<Self, ThreadsError> {
        Self::with_instruction_set(threads, InstructionSet::detect())
    }

    /// As [`Cpu::new`] with one of the sets that [`InstructionSet::available`] names.
    /// Any other is replaced by the best one that the machine has.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with_instruction_set(
        threads: Option<NonZero<usize>>,
        instruction_set: InstructionSet,
    ) -> Result<Self, ThreadsError> {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let count = threads.map_or_else(|| cores().min(MOST_THREADS), NonZero::get);
        if count > MOST_THREADS {
            let source = Refusal::TooMany;
            return Err(ThreadsError { count, source });
        }
        let instruction_set = if InstructionSet::available().contains(&instruction_set) {
            instruction_set
        } else {
            InstructionSet::detect()
        };
        let threads = ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|index| format!("vcp-cpu-{index}"))
            .build()
            .map_err(|error| ThreadsError {
                count,
                source: error.into(),
            })?;
        Ok(Self {
            instruction_set,
            pool: Arc::default(),
            threads,
            record: Record::default(),
        })
    }

    /// The instruction set in use.
    #[must_use]
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }

    /// Number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `work` on the device's threads, so that whatever it does in parallel stays
    /// there.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }

    /// Begins a record of what every kind of operation takes, forgetting an earlier one.
    pub fn start_recording(&self) {
        self.record.start();
    }

    /// Ends the record: kinds of operations in the order in which they first came up.
    /// Operations that only copy values are not in it.
    pub fn stop_recording(&self) -> Vec<Timing> {
        self.record.stop()
    }

    /// Runs two pieces of work, at the same time if a thread is free.
    pub fn join<A: Send, B: Send>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        self.threads.join(first, second)
    }

    fn multiply(
        &self,
        x: &Tensor,
        norm: Option<&Norm>,
        layer: &Linear,
        after: After<'_, Tensor>,
        layout: Layout,
    ) -> Buffer {
        let finish = match after {
            After::Nothing => Finish::Bias,
            After::Activate(activation) => Finish::Activate(activation),
            After::Add(residual) => Finish::Add(&residual.values),
        };
        let [rows, inputs] = [x.shape[0] * x.shape[1], layer.matrix.inputs];
        let outputs = layer.matrix.outputs;
        // The kernel reads and writes through pointers, trusting these.
        assert_eq!(x.shape[2], inputs, "channels as the layer has inputs");
        if let Some(norm) = norm {
            assert_eq!(norm.weight.len(), inputs, "channels as the norm has");
        }
        if let After::Add(residual) = after {
            assert_eq!(residual.values.len(), rows * outputs, "the result's shape");
        }
        let name = || {
            let before = if norm.is_some() { "norm, " } else { "" };
            let then = match finish {
                Finish::Bias => "",
                Finish::Activate(_) => ", activation",
                Finish::Add(_) => ", residual",
            };
            format!("{before}product {rows}x{inputs}x{outputs}{then}")
        };
        self.timed(2 * rows * inputs * outputs, name, || {
            product::multiply(
                self.instruction_set,
                &self.pool,
                self.threads(),
                &x.values,
                norm.map(Norm::normalise),
                &layer.matrix,
                finish,
                layout,
            )
        })
    }

    /// Runs `work` on the device's threads and writes down what it took if a record is kept.
    fn timed<R: Send>(
        &self,
        operations: usize,
        name: impl FnOnce() -> String,
        work: impl FnOnce() -> R + Send,
    ) -> R {
        self.record.time(operations as f64, name, || self.run(work))
    }

    fn elementwise(&self, x: &Tensor, y: &Tensor, operation: impl Fn(f32, f32) -> f32) -> Tensor {
        let [batch, rows, channels] = x.shape;
        let mut out = self.pool.take(x.values.len());
        for b in 0..batch {
            for r in 0..rows {
                let at = (b * rows + r) * channels;
                let other = (b % y.shape[0] * y.shape[1] + r % y.shape[1]) * y.shape[2];
                let (from, to) = (&x.values[at..at + channels], &mut out[at..at + channels]);
                if y.shape[2] == 1 {
                    let y = y.values[other];
                    to.iter_mut()
                        .zip(from)
                        .for_each(|(to, &x)| *to = operation(x, y));
                } else {
                    let y = &y.values[other..other + channels];
                    let both = to.iter_mut().zip(from).zip(y);
                    both.for_each(|((to, &x), &y)| *to = operation(x, y));
                }
            }
        }
        Tensor::new(x.shape, out)
    }

    /// A tensor whose rows `pick(batch, row)` are copied from elsewhere.
    fn gather<'a>(&self, shape: [usize; 3], pick: impl Fn(usize, usize) -> &'a [f32]) -> Tensor {
        let mut out = self.pool.take(shape.iter().product());
        if shape[2] > 0 {
            for (index, row) in out.chunks_exact_mut(shape[2]).enumerate() {
                row.copy_from_slice(pick(index / shape[1], index % shape[1]));
            }
        }
        Tensor::new(shape, out)
    }

    fn map(&self, x: &Tensor, function: Function) -> Tensor {
        let mut out = self.pool.take(x.values.len());
        out.copy_from_slice(&x.values);
        self.timed(
            0,
            || format!("{function:?}").to_lowercase(),
            || elementwise::map(self.instruction_set, function, &mut out),
        );
        Tensor::new(x.shape, out)
    }
}

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

impl Operations for Cpu {
    type Tensor = Tensor;
    type Linear = Linear;
    type Norm = Norm;

    fn shape(&self, x: &Tensor) -> [usize; 3] {
        x.shape
    }

    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Tensor {
        let mut buffer = self.pool.take(values.len());
        buffer.copy_from_slice(values);
        Tensor::new(shape, buffer)
    }

    fn values(&self, x: &Tensor) -> Vec<f32> {
        x.values.to_vec()
    }

    fn parameter(&self, stored: &Stored<'_>, shape: [usize; 3]) -> Tensor {
        self.constant(shape, &stored.to_f32())
    }

    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Linear {
        let [rows, columns] = [weight.shape()[0], weight.shape()[1..].iter().product()];
        let half = weight.element_type() == ElementType::F16;
        let bias = bias.map(Stored::to_f32);
        let pack = |sizes, read: &(dyn Fn(_, &mut [f32]) + Sync)| {
            self.run(|| {
                PackedMatrix::pack(self.instruction_set, sizes, half, bias.as_deref(), read)
            })
        };
        let matrix = match orientation {
            Orientation::OutputsInputs => {
                pack([rows, columns], &|range, out| weight.read_rows(range, out))
            }
            Orientation::InputsOutputs => {
                let values = weight.to_f32();
                pack([columns, rows], &|range: std::ops::Range<usize>, out| {
                    for (output, line) in range.zip(out.chunks_exact_mut(rows)) {
                        for (input, value) in line.iter_mut().enumerate() {
                            *value = values[input * columns + output];
                        }
                    }
                })
            }
        };
        Linear { matrix }
    }

    fn norm_layer(&self, weight: &Stored<'_>, bias: &Stored<'_>, epsilon: f32) -> Norm {
        let (weight, bias) = (weight.to_f32(), bias.to_f32());
        assert_eq!(weight.len(), bias.len(), "a weight and a bias per channel");
        Norm {
            weight,
            bias,
            epsilon,
        }
    }

    fn linear(&self, x: &Tensor, layer: &Linear, after: After<'_, Tensor>) -> Tensor {
        let out = self.multiply(x, None, layer, after, Layout::Rows);
        Tensor::new([x.shape[0], x.shape[1], layer.matrix.outputs], out)
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
        let out = self.multiply(x, Some(norm), layer, after, Layout::Rows);
        Tensor::new([x.shape[0], x.shape[1], layer.matrix.outputs], out)
    }

    fn attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        heads: usize,
        causal: bool,
    ) -> Tensor {
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
            query_key_value.matrix.outputs,
            3 * width,
            "queries, keys and values as wide as the input"
        );
        let layout = Layout::Heads {
            rows_per_image: rows,
        };
        let projected = self.multiply(x, Some(norm), query_key_value, After::Nothing, layout);
        let name = || format!("attention of {rows} rows, {heads} heads");
        let out = self.timed(4 * batch * rows * rows * width, name, || {
            attention::self_attention(
                self.instruction_set,
                &self.pool,
                &projected,
                batch,
                heads,
                rows,
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
        self.gather([batch, rows, parts[0].shape[2]], |b, r| {
            let (part, r) = places[r];
            row(part, b % part.shape[0], r)
        })
    }

    fn concatenate_channels(&self, parts: &[&Tensor]) -> Tensor {
        let [batch, rows, _] = parts[0].shape;
        let channels = parts.iter().map(|part| part.shape[2]).sum();
        let mut out = self.pool.take(batch * rows * channels);
        for (index, line) in out.chunks_exact_mut(channels).enumerate() {
            let mut at = 0;
            for part in parts {
                let width = part.shape[2];
                line[at..at + width].copy_from_slice(row(part, index / rows, index % rows));
                at += width;
            }
        }
        Tensor::new([batch, rows, channels], out)
    }

    fn slice_rows(&self, x: &Tensor, start: usize, count: usize) -> Tensor {
        self.gather([x.shape[0], count, x.shape[2]], |b, r| row(x, b, start + r))
    }

    fn slice_channels(&self, x: &Tensor, start: usize, count: usize) -> Tensor {
        let shape = [x.shape[0], x.shape[1], count];
        self.gather(shape, |b, r| &row(x, b, r)[start..start + count])
    }

    fn repeat_batch(&self, x: &Tensor, times: usize) -> Tensor {
        let [batch, rows, channels] = x.shape;
        self.gather([batch * times, rows, channels], |b, r| row(x, b % batch, r))
    }

    fn repeat_each(&self, x: &Tensor, times: usize) -> Tensor {
        let [batch, rows, channels] = x.shape;
        self.gather([batch * times, rows, channels], |b, r| row(x, b / times, r))
    }

    fn reshape(&self, x: &Tensor, shape: [usize; 3]) -> Tensor {
        assert_eq!(
            shape.iter().product::<usize>(),
            x.values.len(),
            "a shape of the same size"
        );
        Tensor {
            shape,
            values: Arc::clone(&x.values),
        }
    }

    fn patches(&self, images: &Tensor, patch: usize) -> Tensor {
        let [batch, channels, pixels] = images.shape;
        let side = pixels.isqrt();
        let grid = side / patch;
        let width = channels * patch * patch;
        let mut out = self.pool.take(batch * grid * grid * width);
        for (index, square) in out.chunks_exact_mut(width).enumerate() {
            let (image, place) = (index / (grid * grid), index % (grid * grid));
            let (top, left) = (place / grid * patch, place % grid * patch);
            for (line, to) in square.chunks_exact_mut(patch).enumerate() {
                let plane = row(images, image, line / patch);
                to.copy_from_slice(&plane[(top + line % patch) * side + left..][..patch]);
            }
        }
        Tensor::new([batch, grid * grid, width], out)
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
