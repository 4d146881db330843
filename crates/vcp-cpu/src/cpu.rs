//! The CPU as a device: its threads and memory, and what lies in that memory.

mod operations;

use crate::buffer::{Buffer, Pool};
use crate::depthwise::Kernels;
use crate::elementwise::{self, Function};
use crate::finish::Finish;
use crate::pack::Normalise;
use crate::product::{self, Layout, PackedMatrix};
use crate::record::{Record, Timing};
use crate::small::Matrices;
use half::f16;
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use vcp_model::After;
use vcp_simd::{InstructionSet, Supported};

/// The CPU as a device: an instruction set, threads, and memory that is used again.
pub struct Cpu {
    instruction_set: Supported,
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
    matrix: PackedMatrix,
}

/// A layer norm.
pub struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

/// A depthwise convolution with its kernels as tiles read them.
pub struct Depthwise {
    kernels: Kernels,
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
        })
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
        let read = |rows: Range<usize>, out: &mut [f32]| {
            let values = &values[rows.start * inputs..rows.end * inputs];
            let values = values.iter().map(|value| value.to_f32());
            out.iter_mut()
                .zip(values)
                .for_each(|(out, value)| *out = value);
        };
        let sizes = [outputs, inputs];
        let matrix = self.run(|| PackedMatrix::pack(self.instruction_set, sizes, true, None, read));
        Linear { matrix }
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
        layout: Layout,
    ) -> Buffer {
        let [rows, inputs] = [x.shape[0] * x.shape[1], layer.matrix.inputs];
        let outputs = layer.matrix.outputs;
        // The kernel reads and writes through pointers, trusting these.
        assert_eq!(x.shape[2], inputs, "channels as the layer has inputs");
        if let Some(norm) = norm {
            assert_eq!(norm.weight.len(), inputs, "channels as the norm has");
        }
        let finish = finish(after, [x.shape[0], x.shape[1], outputs]);
        let name = || {
            let before = if norm.is_some() { "norm, " } else { "" };
            let then = finish.name();
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
