"""Small networks without what the paper argues for, trained on the digits: does it hold here?"""
