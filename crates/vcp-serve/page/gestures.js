// Zoom and pan of the viewer: wheel, drag, two fingers and keys, turned into a scale and an offset.

const MOST_ZOOM = 32;
const STEP = 1.25;

/** Where the photo lies on the stage: `x` and `y` of its corner and `scale`, in CSS pixels for each of its pixels. */
export class Placement {
  constructor(changed) {
    this.changed = changed;
    this.stage = { width: 1, height: 1 };
    this.photo = { width: 1, height: 1 };
    this.fitted = true;
    this.fit();
  }

  get fittingScale() {
    const margin = 24;
    return Math.max(
      Math.min((this.stage.width - margin) / this.photo.width, (this.stage.height - margin) / this.photo.height),
      0.001,
    );
  }

  /** The whole photo, in the middle. */
  fit() {
    this.fitted = true;
    this.scale = this.fittingScale;
    this.#clamp();
    this.changed();
  }

  /** After the stage or the photo has another size. A photo that was fitted stays so. */
  resize(stage, photo) {
    const same = photo.width === this.photo.width && photo.height === this.photo.height;
    this.stage = stage;
    this.photo = photo;
    if (this.fitted || !same) this.fit();
    else {
      this.#clamp();
      this.changed();
    }
  }

  /** Changes the scale and keeps the place (x, y) of the stage where it is. */
  zoom(factor, x = this.stage.width / 2, y = this.stage.height / 2) {
    const least = Math.min(this.fittingScale, 1);
    const most = Math.max(MOST_ZOOM, this.fittingScale);
    const scale = Math.min(Math.max(this.scale * factor, least), most);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = scale === this.fittingScale;
    this.#clamp();
    this.changed();
  }

  zoomIn = () => this.zoom(STEP);
  zoomOut = () => this.zoom(1 / STEP);

  pan(across, down) {
    this.x += across;
    this.y += down;
    this.fitted = false;
    this.#clamp();
    this.changed();
  }

  /** Brings a box of the photo into the middle, with some of what is around it. */
  bring({ x, y, width, height }) {
    const around = 3;
    const scale = Math.min(this.stage.width / (width * around), this.stage.height / (height * around), 8);
    this.scale = Math.max(scale, this.fittingScale);
    this.fitted = this.scale === this.fittingScale;
    this.x = this.stage.width / 2 - (x + width / 2) * this.scale;
    this.y = this.stage.height / 2 - (y + height / 2) * this.scale;
    this.#clamp();
    this.changed();
  }

  /** The place of the photo at a place of the stage. */
  toPhoto(x, y) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  // A photo that is smaller than the stage lies in its middle; a larger one covers it.
  #clamp() {
    for (const [corner, side] of [['x', 'width'], ['y', 'height']]) {
      const room = this.stage[side] - this.photo[side] * this.scale;
      this[corner] = room >= 0 ? room / 2 : Math.min(Math.max(this[corner] ?? 0, room - 40), 40);
    }
  }
}

/** Wires pointers, wheel and keys of a canvas to a placement. `point` hears where the pointer is, or null. */
export function listen(canvas, placement, point) {
  const pointers = new Map();
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const spread = () => {
    const [one, other] = [...pointers.values()];
    return {
      x: (one.x + other.x) / 2,
      y: (one.y + other.y) / 2,
      distance: Math.hypot(one.x - other.x, one.y - other.y),
    };
  };
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const { x, y } = place(event);
    placement.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), x, y);
  }, { passive: false });
  canvas.addEventListener('pointerdown', (event) => {
    pointers.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    const now = place(event);
    point(now);
    const before = pointers.get(event.pointerId);
    if (!before) return;
    if (pointers.size === 1) {
      pointers.set(event.pointerId, now);
      placement.pan(now.x - before.x, now.y - before.y);
    } else if (pointers.size === 2) {
      const old = spread();
      pointers.set(event.pointerId, now);
      const { x, y, distance } = spread();
      placement.pan(x - old.x, y - old.y);
      if (old.distance > 0) placement.zoom(distance / old.distance, x, y);
    }
  });
  for (const end of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener('pointerleave', () => point(null));
  canvas.addEventListener('dblclick', () => placement.fit());
  const moves = {
    ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40],
  };
  canvas.addEventListener('keydown', (event) => {
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    placement.pan(...moves[event.key]);
  });
}
