print("meshnet")
