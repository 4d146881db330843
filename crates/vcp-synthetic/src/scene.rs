//! A scene of surfaces, light and a camera, and how it becomes a picture.
//!
//! Defects change the scene, not the picture: a bite shows the ground and loses its shadow, a dent is
//! seen by its shading. The picture is rendered with and without them, with the same noise.

use std::rc::Rc;

use vcp_random::Random;

use crate::blocks;
use crate::grid::{Canvas, Colour, Field, blend};
use crate::surfaces::{Surface, UNIT};

#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) size: usize,
    /// What is behind: the only surface where there is no object.
    pub(crate) back: Surface,
    /// Objects.
    pub(crate) front: Option<Front>,
    /// The inspected surface without its regular marks, where it has any.
    pub(crate) unmarked: Option<Rc<Surface>>,
    /// The inspected surface before anything was printed on it or set into it, where something is.
    pub(crate) blank: Option<Rc<Surface>>,
    /// The inspected surface before it was finished with rims and edges, where it is.
    pub(crate) unfinished: Option<Rc<Surface>>,
    /// Regular marks: middle and radius in pixels.
    pub(crate) spots: Vec<[f32; 3]>,
    pub(crate) light: Light,
    pub(crate) camera: Camera,
}

/// Objects before the ground.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) surface: Surface,
    /// 1 where there is an object.
    pub(crate) cover: Field,
    /// Radius of an object in pixels.
    pub(crate) radius: f32,
    /// Middle of each object in pixels.
    pub(crate) middles: Vec<(f32, f32)>,
    /// Whether they are several in rows, all turned alike.
    pub(crate) in_rows: bool,
    /// How far shadows fall, in pixels of a small image.
    pub(crate) lift: f32,
}

/// Light falling on a scene.
#[derive(Clone)]
pub(crate) struct Light {
    /// Where it comes from: right, down, towards the camera; of length 1.
    pub(crate) from: [f32; 3],
    /// How strongly slopes show.
    pub(crate) relief: f32,
    /// Darkness of cast shadows.
    pub(crate) shadow: f32,
    /// Blur of cast shadows in pixels of a small image.
    pub(crate) softness: f32,
    pub(crate) gloss: f32,
    pub(crate) shine: f32,
    pub(crate) colour: Colour,
    /// Brightness at each place.
    pub(crate) field: Field,
    /// Lamps and windows that a glossy surface reflects: what is added at each place.
    pub(crate) glare: Option<Field>,
}

/// What a camera does to a scene.
#[derive(Clone)]
pub(crate) struct Camera {
    /// Blur in pixels of a small image.
    pub(crate) blur: f32,
    /// How strongly edges are sharpened afterwards, as many cameras do; 0 for not.
    pub(crate) sharpening: f32,
    /// Standard deviation of the noise, 0 to 1.
    pub(crate) noise: f32,
    /// Size of the noise's grain in pixels.
    pub(crate) grain: f32,
    pub(crate) gamma: f32,
    /// Contrast that is left (1 for all of it) of tones about a level, as behind glass or in fog.
    pub(crate) contrast: f32,
    pub(crate) level: f32,
    pub(crate) saturation: f32,
    /// Quality, 1 to 100, of the JPEG file that the picture was saved as, if it was.
    pub(crate) quality: Option<f32>,
    pub(crate) noise_seed: u64,
}

impl Scene {
    /// Pixels per unit of length.
    pub(crate) fn unit(&self) -> f32 {
        self.size as f32 / UNIT
    }

    /// Sets the light to what a camera would: neither black nor white on the whole.
    pub(crate) fn expose(&mut self, random: &mut Random) {
        let mean = self
            .rendered()
            .map(|cell| cell.iter().sum::<f32>() / 3.0)
            .mean();
        let wanted = if mean < 0.22 {
            random.between(0.22, 0.4)
        } else if mean > 0.75 {
            random.between(0.6, 0.78)
        } else {
            return;
        };
        let factor = (wanted / mean.max(0.02)).min(3.0);
        self.light.field = self.light.field.map(|brightness| brightness * factor);
    }

    /// The surface that is inspected.
    pub(crate) fn surface(&mut self) -> &mut Surface {
        match &mut self.front {
            Some(front) => &mut front.surface,
            None => &mut self.back,
        }
    }

    pub(crate) fn inspected(&self) -> &Surface {
        match &self.front {
            Some(front) => &front.surface,
            None => &self.back,
        }
    }

    /// Whether this place is on the inspected surface.
    pub(crate) fn covers(&self, x: f32, y: f32) -> bool {
        let limit = self.size as f32 - 1.0;
        if x < 0.0 || y < 0.0 || x > limit || y > limit {
            return false;
        }
        let place = (x as usize, y as usize);
        self.front
            .as_ref()
            .is_none_or(|front| front.cover[place] > 0.5)
    }

    /// The picture without noise.
    pub(crate) fn rendered(&self) -> Canvas {
        let unit = self.unit();
        let light = &self.light;
        let front = self.front.as_ref().map(|front| &front.cover);
        let mut picture = self.shaded(&self.back, None, |place| {
            front.is_none_or(|cover| cover.cells[place] < 1.0)
        });
        if let Some(front) = &self.front {
            let shadow = front.cover.blurred(light.softness * unit);
            let contact = front.cover.blurred(1.2 * unit);
            let shift = [0, 1].map(|axis| light.from[axis] * front.lift * unit);
            let above = self.shaded(&front.surface, Some(&front.cover), |place| {
                front.cover.cells[place] > 0.0
            });
            let mut index = 0;
            for y in 0..self.size {
                for x in 0..self.size {
                    let cover = front.cover.cells[index];
                    let cell = &mut picture.cells[index];
                    if cover < 1.0 {
                        let cast = shadow.at(x as f32 + shift[0], y as f32 + shift[1]);
                        let dark = cast.max(0.7 * contact.cells[index]).min(1.0);
                        *cell = cell.map(|channel| channel * (1.0 - light.shadow * dark));
                    }
                    *cell = blend(*cell, above.cells[index], cover);
                    index += 1;
                }
            }
        }
        let lit = |cell: Colour, brightness: f32| {
            std::array::from_fn(|channel| cell[channel] * brightness * light.colour[channel])
        };
        picture.combine(&light.field, lit);
        if let Some(glare) = &light.glare {
            picture.combine(glare, |cell, glare| cell.map(|value| value + glare));
        }
        // Film's shoulder: highlights saturate softly.
        let picture = picture.map(|cell: Colour| {
            cell.map(|value| {
                let value = value.max(0.0);
                if value > 0.8 {
                    1.0 - 0.04 / (value - 0.6)
                } else {
                    value
                }
            })
        });
        let camera = &self.camera;
        let mut seen = picture.blurred(camera.blur * unit);
        if camera.sharpening > 0.0 {
            let soft = seen.blurred(1.1);
            seen.combine(&soft, |sharp, soft| {
                let more = |channel: usize| sharp[channel] - soft[channel];
                let sharp = |channel: usize| sharp[channel] + camera.sharpening * more(channel);
                std::array::from_fn(|channel| sharp(channel).max(0.0))
            });
        }
        seen.map(|cell| {
            let cell = if (camera.gamma - 1.0).abs() > 0.01 {
                cell.map(|value| value.powf(camera.gamma))
            } else {
                cell
            };
            let cell = cell.map(|value| camera.level + (value - camera.level) * camera.contrast);
            let grey = 0.3 * cell[0] + 0.59 * cell[1] + 0.11 * cell[2];
            cell.map(|value| grey + (value - grey) * camera.saturation)
        })
    }

    /// A surface in the light, where it `is_seen`; black elsewhere.
    fn shaded(
        &self,
        surface: &Surface,
        cover: Option<&Field>,
        is_seen: impl Fn(usize) -> bool,
    ) -> Canvas {
        let size = self.size;
        let light = &self.light;
        let [right, down, up] = light.from;
        // Heights are in units of length: so a larger image is the same scene.
        let scale = 0.5 * light.relief * self.unit();
        // Half way between the light and the camera.
        let length = (right * right + down * down + (up + 1.0).powi(2)).sqrt();
        let half = [right / length, down / length, (up + 1.0) / length];
        let height = |x: usize, y: usize| {
            let place = (x, y);
            let covered = cover.map_or(1.0, |cover| cover[place]);
            surface.height[place] * covered
        };
        let heights = Field::from_fn(size, height);
        let last = size - 1;
        Canvas::from_fn(size, |x, y| {
            if !is_seen(y * size + x) {
                return [0.0; 3];
            }
            let across = heights[((x + 1).min(last), y)] - heights[(x.saturating_sub(1), y)];
            let along = heights[(x, (y + 1).min(last))] - heights[(x, y.saturating_sub(1))];
            let (across, along) = (across * scale, along * scale);
            let normal = 1.0 / (1.0 + across * across + along * along).sqrt();
            let facing = (up - across * right - along * down) * normal;
            let diffuse = 0.3 + 0.7 * facing.max(0.0) / up;
            let mirror = (half[2] - across * half[0] - along * half[1]) * normal;
            let glint = if light.gloss > 0.0 {
                let sheen = surface.sheen.as_ref().map_or(1.0, |sheen| sheen[(x, y)]);
                light.gloss * sheen * mirror.max(0.0).powf(light.shine)
            } else {
                0.0
            };
            surface.albedo[(x, y)].map(|channel| channel * diffuse.min(2.0) + glint)
        })
    }

    /// As bytes, with the camera's noise.
    pub(crate) fn developed(&self, picture: &Canvas) -> Vec<u8> {
        let camera = &self.camera;
        let mut random = Random::new(camera.noise_seed);
        let grey = camera.saturation == 0.0;
        let noise = Canvas::from_fn(self.size, |_, _| {
            if grey {
                [random.normal(); 3]
            } else {
                let common = random.normal();
                std::array::from_fn(|_| 0.7 * common + 0.7 * random.normal())
            }
        });
        let coarse = camera.grain > 0.0;
        // Blurred noise is weaker: it is made up for.
        let strength = camera.noise
            * if coarse {
                1.0 + 2.5 * camera.grain
            } else {
                1.0
            };
        let noise = if coarse {
            noise.blurred(camera.grain)
        } else {
            noise
        };
        let mut pixels = picture.clone();
        pixels.combine(&noise, |pixel, noise| {
            let noisy = |channel: usize| pixel[channel] + strength * noise[channel];
            std::array::from_fn(|channel| (noisy(channel) * 255.0).clamp(0.0, 255.0))
        });
        if let Some(quality) = camera.quality {
            blocks::compressed(&mut pixels.cells, self.size, quality, grey);
        }
        // The cast cuts at both ends.
        let bytes = pixels.cells.as_flattened().iter();
        bytes.map(|value| (value + 0.5) as u8).collect()
    }
}
