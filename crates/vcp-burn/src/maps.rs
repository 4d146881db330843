//! Operations on maps, in Burn's: windows, depthwise convolutions, channels standardised over an image.

use burn_tensor::Tensor as Held;
use vcp_model::{After, Windows};

use crate::Burn;
use crate::fused::{self, Curve, DepthwiseLayer, Standardise};
use crate::layers::{Depthwise, finished};

impl Depthwise {
    fn fused(&self, x: &Held<3>, map: [usize; 2], after: After<'_, Held<3>>) -> Option<Held<3>> {
        let layer = DepthwiseLayer {
            map,
            windows: self.windows,
            curve: Curve::of(after),
            has_residual: matches!(after, After::Add(_)),
        };
        let (x, kernels) = (fused::input(x), fused::input(&self.kernels));
        let bias = fused::input(&self.bias);
        match after {
            After::Add(residual) => {
                fused::apply(&layer, [x, kernels, bias, fused::input(residual)])
            }
            _ => fused::apply(&layer, [x, kernels, bias]),
        }
    }
}

impl Burn {
    /// Images [batch, channels, height·width] cut into windows: [batch, down, across, channels, side, side] in
    /// this order.
    pub(crate) fn held_patches(
        &self,
        images: &Held<3>,
        map: [usize; 2],
        windows: Windows,
    ) -> Held<6> {
        let [batch, channels, _] = images.dims();
        let [height, width] = map;
        let [down, across] = map.map(|length| windows.along(length));
        let Windows { side, stride } = windows;
        let images = images.clone().reshape([batch, channels, height, width]);
        if side == stride {
            return images
                .narrow(2, 0, down * side)
                .narrow(3, 0, across * side)
                .reshape([batch, channels, down, side, across, side])
                .permute([0, 2, 4, 1, 3, 5]);
        }
        let images = self.with_margin(images, 2, windows);
        let parts = taps(side).map(|tap| {
            let pixels = picked(&images, 2, tap, [down, across], stride);
            pixels.reshape([batch, channels, 1, down, across])
        });
        Held::cat(parts.collect(), 2)
            .reshape([batch, channels, side, side, down, across])
            .permute([0, 4, 5, 1, 2, 3])
    }

    /// As sums of shifted maps: unlike that of a convolution in groups, the gradient of these is one pass
    /// over the maps for each pixel of a kernel, and not one for each channel.
    pub(crate) fn held_depthwise(
        &self,
        x: &Held<3>,
        map: [usize; 2],
        layer: &Depthwise,
        after: After<'_, Held<3>>,
    ) -> Held<3> {
        let [batch, _, channels] = x.dims();
        let [kernels, _] = layer.kernels.dims();
        assert_eq!(channels, kernels, "channels as the layer has");
        if let Some(result) = self.if_fused(|| layer.fused(x, map, after)) {
            return result;
        }
        let [height, width] = map;
        let [down, across] = map.map(|length| layer.windows.along(length));
        let Windows { side, stride } = layer.windows;
        let x = x.clone().reshape([batch, height, width, channels]);
        let x = self.with_margin(x, 1, layer.windows);
        let shape = [1, 1, 1, channels];
        let mut sum = layer.bias.clone().reshape(shape);
        for [row, column] in taps(side) {
            let weight = layer.kernels.clone().narrow(1, row * side + column, 1);
            let pixels = picked(&x, 1, [row, column], [down, across], stride);
            sum = pixels * weight.reshape(shape) + sum;
        }
        finished(sum.reshape([batch, down * across, channels]), after)
    }

    pub(crate) fn held_standardise(&self, x: &Held<3>, epsilon: f32) -> Held<3> {
        let fused = || fused::apply(&Standardise { epsilon }, [fused::input(x)]);
        if let Some(result) = self.if_fused(fused) {
            return result;
        }
        let centred = x.clone() - x.clone().mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        centred / (variance + epsilon).sqrt()
    }

    /// Zeros around maps whose height and width are two dimensions from `first` on: at the left and the top as
    /// many as the windows ask for, on the other sides as many as [`picked`] needs.
    fn with_margin(&self, mut x: Held<4>, first: usize, windows: Windows) -> Held<4> {
        for dimension in [first, first + 1] {
            let length = x.dims()[dimension];
            let before = windows.margin();
            let needed = windows.side - 1 + windows.along(length) * windows.stride;
            let zeros = |count| {
                let mut shape = x.dims();
                shape[dimension] = count;
                (count > 0).then(|| Held::zeros(shape, self.device()))
            };
            let parts = [
                zeros(before),
                Some(x.clone()),
                zeros(needed - before - length),
            ];
            x = Held::cat(parts.into_iter().flatten().collect(), dimension);
        }
        x
    }
}

/// Rows and columns of a kernel.
fn taps(side: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..side * side).map(move |tap| [tap / side, tap % side])
}

/// The pixels that lie under one tap of all windows. Every `stride`-th is picked by reshaping: a slice with
/// steps has no gradient on some devices.
fn picked(
    x: &Held<4>,
    first: usize,
    [row, column]: [usize; 2],
    [down, across]: [usize; 2],
    stride: usize,
) -> Held<4> {
    let x = x
        .clone()
        .narrow(first, row, down * stride)
        .narrow(first + 1, column, across * stride);
    if stride == 1 {
        return x;
    }
    let every = |x: Held<4>, dimension: usize, count: usize| {
        let dims = x.dims();
        let (mut split, mut shape) = ([1; 5], dims);
        split[..=dimension].copy_from_slice(&dims[..=dimension]);
        split[dimension] = count;
        split[dimension + 1] = stride;
        split[dimension + 2..].copy_from_slice(&dims[dimension + 1..]);
        shape[dimension] = count;
        x.reshape(split).narrow(dimension + 1, 0, 1).reshape(shape)
    };
    every(every(x, first, down), first + 1, across)
}
