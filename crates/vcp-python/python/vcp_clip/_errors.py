"""The exceptions of this package, all of one base. Their texts are the sentences of the command line; an
option that one names, such as ``--max-pixels``, is the argument ``max_pixels`` here."""


class VcpClipError(Exception):
    """Anything that this package cannot do."""


class DecodeError(VcpClipError, ValueError):
    """A photo cannot be read: there is no such file, or it is damaged or of a format that is not read."""


class InputError(VcpClipError, ValueError):
    """An argument cannot be used: of a wrong type or shape or out of its bounds, or photos that give no thresholds."""


class LimitError(VcpClipError):
    """A photo is larger than allowed, or a model would take more time or memory than anybody is likely to want."""


class ModelError(VcpClipError):
    """A model, weight file or calibration cannot be used, or cannot be fetched."""


class DeviceError(VcpClipError):
    """The device that the model was to run on cannot be used."""


class OutputError(VcpClipError):
    """A result cannot be written."""


class InternalError(VcpClipError):
    """An error of this package's own."""
