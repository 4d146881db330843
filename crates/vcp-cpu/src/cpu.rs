//! The CPU as a device: its threads and memory, and what lies in that memory.

mod operations;

use crate::buffer::{Buffer, Pool};
use crate::depthwise::Kernels;
use crate::elementwise::{self, Function};
use crate::finish::Finish;
use crate::observe::{Observer, Ranges};
use crate::pack::{Normalise, narrow::Activations};
use crate::product::{self, Form, NarrowMatrix, PackedMatrix, Rows, Storage};
use crate::record::{Record, Timing};
use crate::small::Matrices;
use crate::units::{AttentionUnit, Bf16Unit, Int8Unit, NarrowUnit, ScoreUnit};
use half::f16;
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use vcp_checkpoint::Precision;
use vcp_model::After;
use vcp_simd::{InstructionSet, Supported};

/// The CPU as a device: an instruction set, threads, and memory that is used again.
pub struct Cpu {
    instruction_set: Supported,
    pool: Arc<Pool>,
    threads: ThreadPool,
    record: Record,
    observer: Observer,
    /// What multiplies narrow numbers, where they were asked for.
    narrow: Narrow,
}

/// See [`Cpu::with_precision`].
#[derive(Clone, Copy, Default)]
struct Narrow {
    /// Linear layers that may be narrow.
    products: Option<NarrowUnit>,
    /// Self-attention.
    attention: Option<AttentionUnit>,
}

/// This machine's processor has no instructions for a precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "This processor does not compute in {precision}, for which it would need {needs}: compute in f32{other} instead."
)]
pub struct PrecisionError {
    precision: Precision,
    needs: &'static str,
    other: &'static str,
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

/// How many values a tensor of this shape has.
///
/// # Panics
/// If it is more than memory has addresses: kernels rely on the number.
pub(crate) fn elements(shape: [usize; 3]) -> usize {
    let product = shape
        .iter()
        .try_fold(1_usize, |all, &side| all.checked_mul(side));
    product.unwrap_or_else(|| panic!("{shape:?} are more values than memory has addresses"))
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
            elements(shape),
            values.len(),
            "as many values as the shape says"
        );
        Self {
            shape,
            values: Arc::new(values),
        }
    }

    /// [batch, rows, channels].
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
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

/// What the kernels do after a sum, for a result of this shape.
fn finish(after: After<'_, Tensor>, shape: [usize; 3]) -> Finish<'_> {
    match after {
        After::Nothing => Finish::Bias,
        After::Activate(activation) => Finish::Activate(activation),
        After::Relu6 => Finish::Relu6,
        After::Add(residual) => {
            assert_eq!(residual.shape, shape, "the result's shape");
            Finish::Add(&residual.values)
        }
    }
}

/// A linear layer with its weights in panels.
pub struct Linear {
    matrix: Matrix,
}

/// The weights of a linear layer.
enum Matrix {
    Exact(PackedMatrix),
    Narrow(NarrowMatrix),
}

impl Linear {
    fn outputs(&self) -> usize {
        match &self.matrix {
            Matrix::Exact(matrix) => matrix.outputs,
            Matrix::Narrow(matrix) => matrix.outputs,
        }
    }

    fn inputs(&self) -> usize {
        match &self.matrix {
            Matrix::Exact(matrix) => matrix.inputs,
            Matrix::Narrow(matrix) => matrix.inputs,
        }
    }
}

/// A layer norm.
pub struct Norm {
    /// What its weight is called where it is stored.
    name: String,
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

/// A depthwise convolution with its kernels as tiles read them.
pub struct Depthwise {
    kernels: Kernels,
}

/// Rows in half precision.
struct Halves<'a> {
    values: &'a [f16],
    inputs: usize,
}

impl Rows for Halves<'_> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let values = &self.values[rows.start * self.inputs..rows.end * self.inputs];
        for (out, value) in out.iter_mut().zip(values) {
            *out = value.to_f32();
        }
    }

    fn storage(&self) -> Storage<'_> {
        Storage::Half
    }

    fn codes(&self, _: Range<usize>, _: &mut [i8]) {}
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
        let instruction_set = instruction_set
            .supported()
            .unwrap_or_else(Supported::detect);
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
            observer: Observer::default(),
            narrow: Narrow::default(),
        })
    }

    /// The same device, which computes what may be narrow ([`vcp_model::Operations::narrow_linear_layer`], and attention after such
    /// layers) in this precision: layers that are made from now on.
    ///
    /// - [`Precision::Bf16`]: operands of products and of attention are rounded to bf16, sums are `f32`.
    /// - [`Precision::Int8`]: linear layers multiply whole numbers of 8 bits; attention is as with bf16 where the
    ///   processor has it, and `f32` elsewhere.
    ///
    /// # Errors
    /// When the processor has no instructions for it: it would be slower than `f32`.
    pub fn with_precision(mut self, precision: Precision) -> Result<Self, PrecisionError> {
        let bf16 = Bf16Unit::all(self.instruction_set).into_iter().next();
        let int8 = Int8Unit::all(self.instruction_set).into_iter().next();
        let refused = |needs, other| PrecisionError {
            precision,
            needs,
            other,
        };
        self.narrow = match precision {
            Precision::F32 => Narrow::default(),
            Precision::Bf16 => {
                let other = if int8.is_some() { " or int8" } else { "" };
                let unit = bf16.ok_or(refused("AVX512_BF16 or AMX-BF16", other))?;
                Narrow {
                    products: Some(NarrowUnit::Bf16(unit)),
                    attention: Some(AttentionUnit {
                        bf16: unit,
                        scores: None,
                    }),
                }
            }
            Precision::Int8 => Narrow {
                products: Some(NarrowUnit::Int8(int8.ok_or(refused("AVX2", ""))?)),
                attention: bf16.map(|bf16| AttentionUnit {
                    bf16,
                    scores: ScoreUnit::of(bf16),
                }),
            },
        };
        Ok(self)
    }

    /// What may be narrow is computed so.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match self.narrow.products {
            None => Precision::F32,
            Some(NarrowUnit::Bf16(_)) => Precision::Bf16,
            Some(NarrowUnit::Int8(_)) => Precision::Int8,
        }
    }

    /// The instructions that multiply narrow numbers, if there are any: linear layers, then attention.
    #[must_use]
    pub fn narrow_units(&self) -> [Option<&'static str>; 2] {
        [
            self.narrow.products.map(NarrowUnit::name),
            self.narrow.attention.map(AttentionUnit::name),
        ]
    }

    /// The instruction set in use.
    #[must_use]
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set.name()
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

    /// A tensor of these values in row-major order: what [`vcp_model::Operations::constant`] gives, which
    /// never fails here.
    ///
    /// # Panics
    /// Where there are not as many values as the shape says.
    #[must_use]
    pub fn tensor(&self, shape: [usize; 3], values: &[f32]) -> Tensor {
        let mut buffer = self.pool.take(values.len());
        buffer.copy_from_slice(values);
        Tensor::new(shape, buffer)
    }

    /// A linear layer without bias of weights [outputs, inputs] in half precision, row by row: what
    /// [`vcp_model::Operations::linear_layer`] makes of a stored matrix.
    ///
    /// # Panics
    /// Where there are not as many values as the sizes say.
    #[must_use]
    pub fn linear_of_half(&self, [outputs, inputs]: [usize; 2], values: &[f16]) -> Linear {
        assert_eq!(values.len(), outputs * inputs, "rows of the layer's inputs");
        let sizes = [outputs, inputs];
        let rows = Halves { values, inputs };
        let matrix = self.run(|| PackedMatrix::pack(self.instruction_set, sizes, None, &rows));
        Linear {
            matrix: Matrix::Exact(matrix),
        }
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

    /// Begins to look at what layer norms give to the linear layers behind them, forgetting what was seen before.
    pub fn start_observing(&self) {
        self.observer.start();
    }

    /// Ends that: the ranges behind each norm, in the order of their names.
    pub fn stop_observing(&self) -> Vec<Ranges> {
        self.observer.stop()
    }

    /// Runs `work` on pieces of `values`, in parallel where there are many; it is given where in `values` a piece
    /// begins.
    pub fn for_each_piece<T: Send>(
        &self,
        values: &mut [T],
        work: impl Fn(usize, &mut [T]) + Send + Sync,
    ) {
        /// Fewer are not worth a thread.
        const PIECE: usize = 64;
        self.run(|| {
            let pieces = values.par_chunks_mut(PIECE).enumerate();
            pieces.for_each(|(index, piece)| work(index * PIECE, piece));
        });
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
        form: Form,
    ) -> Buffer {
        assert_eq!(
            x.shape[2],
            layer.inputs(),
            "channels as the layer has inputs"
        );
        let finish = finish(after, [x.shape[0], x.shape[1], layer.outputs()]);
        self.product(Activations::F32(&x.values), norm, layer, finish, form)
    }

    /// A layer on rows of its inputs' width.
    fn product(
        &self,
        x: Activations<'_>,
        norm: Option<&Norm>,
        layer: &Linear,
        finish: Finish<'_>,
        form: Form,
    ) -> Buffer {
        let count = x.len() / layer.inputs() * layer.outputs();
        let mut out = self.pool.take(form.numbers.words(count));
        self.product_into(x, norm, layer, finish, form, &mut out);
        out
    }

    /// As [`Cpu::product`], into memory that is there.
    fn product_into(
        &self,
        x: Activations<'_>,
        norm: Option<&Norm>,
        layer: &Linear,
        finish: Finish<'_>,
        form: Form,
        out: &mut [f32],
    ) {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let rows = x.len() / inputs;
        // The kernel reads and writes through pointers, trusting these.
        assert_eq!(rows * inputs, x.len(), "whole rows");
        if let Finish::Add(residual) = finish {
            assert_eq!(residual.len(), rows * outputs, "the result's size");
        }
        if let Some(norm) = norm {
            assert_eq!(norm.weight.len(), inputs, "channels as the norm has");
            if let Activations::F32(x) = x {
                let set = self.instruction_set;
                self.observer.look(set, &norm.name, x, norm.normalise());
            }
        }
        let name = || {
            let before = if norm.is_some() { "norm, " } else { "" };
            let then = finish.name();
            let narrow = match &layer.matrix {
                Matrix::Exact(_) => "",
                Matrix::Narrow(matrix) => matrix.precision(),
            };
            format!("{before}{narrow}product {rows}x{inputs}x{outputs}{then}")
        };
        let (pool, threads) = (&self.pool, self.threads());
        let norm = norm.map(Norm::normalise);
        self.timed(2 * rows * inputs * outputs, name, || {
            let set = self.instruction_set;
            match &layer.matrix {
                Matrix::Exact(matrix) => {
                    let Activations::F32(x) = x else {
                        unreachable!("only narrow layers take what is rounded");
                    };
                    product::multiply(set, pool, threads, x, norm, matrix, finish, form, out);
                }
                Matrix::Narrow(matrix) => {
                    product::multiply_narrow(
                        set, pool, threads, x, norm, matrix, finish, form, out,
                    );
                }
            }
        });
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
        assert!(
            y.shape.iter().zip(&x.shape).all(|(y, x)| *y == 1 || y == x),
            "dimensions of 1 or those of {:?}, not {:?}",
            x.shape,
            y.shape
        );
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
