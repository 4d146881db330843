//! Reads and writes weight files without executing anything: TorchScript archives, torch.save files, safetensors and bundles.
